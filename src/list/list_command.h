// headrace list, as the command line knows it.
#pragma once

#include "setup/options.h"

namespace headrace::list {

void AddListCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::list
