// headrace serve, as the command line knows it.
#pragma once

#include "cli/options.h"

namespace headrace::serve {

void AddServeCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::serve
