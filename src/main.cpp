#include "batch/batch_command.h"
#include "check/engine_command.h"
#include "client/chat_command.h"
#include "client/server_commands.h"
#include "commands/command_line.h"
#include "list/list_command.h"
#include "mirror/mirror_command.h"
#include "run/run_command.h"
#include "serve/serve_command.h"
#include "top/top_command.h"

int main(int argc, char** argv) {
  using namespace headrace;
  return cli::RunCommandLine(
      argc, argv,
      {run::AddRunCommand, serve::AddServeCommand, batch::AddBatchCommand, list::AddListCommand, top::AddTopCommand,
       client::AddServerCommands, client::AddChatCommand, cli::AddMirrorCommand, check::AddEngineCommand});
}
