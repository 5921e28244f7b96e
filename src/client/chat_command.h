// headrace chat: a conversation with a model of a running server.
#pragma once

#include "setup/options.h"

namespace headrace::client {

void AddChatCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::client
