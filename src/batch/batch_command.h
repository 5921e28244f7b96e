// headrace batch, as the command line knows it.
#pragma once

#include "cli/options.h"

namespace headrace::batch {

void AddBatchCommand(CLI::App& app, cli::CommandLine& line);

}  // namespace headrace::batch
