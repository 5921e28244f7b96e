// headrace pull, as the command line knows it.
#pragma once

#include "setup/options.h"

namespace headrace::cli {

void AddPullCommand(CLI::App& app, CommandLine& line);

}  // namespace headrace::cli
