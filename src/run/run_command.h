// headrace run: a chat with a model, or one answer.
#pragma once

#include "setup/options.h"

namespace headrace::run {

// See setup/options.h: one of the command line's subcommands.
void AddRunCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::run
