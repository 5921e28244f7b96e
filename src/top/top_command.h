// headrace top: every process that uses the library, live.
#pragma once

#include "setup/options.h"

namespace headrace::top {

void AddTopCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::top
