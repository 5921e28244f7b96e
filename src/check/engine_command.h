// headrace engine: which llama.cpp is used, installing one, proving one.
#pragma once

#include "setup/options.h"

namespace headrace::check {

// See setup/options.h: one of the command line's subcommands.
void AddEngineCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::check
