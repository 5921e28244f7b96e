// headrace ps, load, unload, stop: what a running server is asked to do.
#pragma once

#include "setup/options.h"

namespace headrace::client {

void AddServerCommands(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::client
