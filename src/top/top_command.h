// headrace top: every process that uses the library, live.
#pragma once

#include "cli/options.h"

namespace headrace::top {

void AddTopCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::top
