// headrace pull, as the command line knows it.
#pragma once

#include "cli/options.h"

namespace headrace::cli {

void AddPullCommand(CLI::App& app, CommandLine& line);

}  // namespace headrace::cli
