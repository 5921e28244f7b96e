// The headrace command.
#pragma once

#include <memory>

#include <CLI/CLI.hpp>

#include "cli/options.h"

namespace headrace::cli {

// Parses, acts, and returns the exit status. Nothing is thrown.
int RunCommandLine(int argc, const char* const* argv) noexcept;

// The parser with all subcommands; `line` outlives it.
std::unique_ptr<CLI::App> MakeApp(CommandLine& line);

}  // namespace headrace::cli
