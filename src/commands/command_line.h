// The headrace command.
#pragma once

#include <memory>
#include <vector>

#include "setup/options.h"

namespace CLI {
class App;
}

namespace headrace::cli {

// Adds a subcommand that lives outside cli/.
using AddCommand = void (*)(CLI::App& app, CommandLine& line);

// Parses, acts, and returns the exit status. Nothing is thrown.
int RunCommandLine(int argc, const char* const* argv, const std::vector<AddCommand>& more = {}) noexcept;

// The parser with all subcommands; `line` outlives it.
std::unique_ptr<CLI::App> MakeApp(CommandLine& line, const std::vector<AddCommand>& more = {});

}  // namespace headrace::cli
