// headrace mirror: a second copy of a model on another drive.
#pragma once

#include "setup/options.h"

namespace headrace::cli {

// `line` and `app` outlive the parsing and the action.
void AddMirrorCommand(CLI::App& app, CommandLine& line);

}  // namespace headrace::cli
