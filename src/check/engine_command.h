// headrace engine: which llama.cpp is used, installing one, proving one.
#pragma once

#include "cli/options.h"

namespace headrace::check {

// See cli/options.h: one of the command line's subcommands.
void AddEngineCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::check
