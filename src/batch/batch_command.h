// headrace batch, as the command line knows it.
#pragma once

#include "setup/options.h"

namespace headrace::batch {

void AddBatchCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::batch
