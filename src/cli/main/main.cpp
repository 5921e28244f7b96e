#include "batch/batch_command.h"
#include "cli/command_line.h"
#include "serve/serve_command.h"
#include "top/top_command.h"

int main(int argc, char** argv) {
  return headrace::cli::RunCommandLine(argc, argv, {headrace::serve::AddServeCommand, headrace::batch::AddBatchCommand, headrace::top::AddTopCommand});
}
