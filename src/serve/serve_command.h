// headrace serve, as the command line knows it.
#pragma once

#include "setup/options.h"

namespace headrace::serve {

void AddServeCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::serve
