// The subcommands of this folder.
#pragma once

#include "setup/options.h"

namespace headrace::cli {

// Each adds one subcommand, with its help and examples. `line` and `app` outlive the parsing and the action.
void AddExecCommand(CLI::App& app, CommandLine& line);
void AddPlanCommand(CLI::App& app, CommandLine& line);
void AddBenchCommand(CLI::App& app, CommandLine& line);
void AddDoctorCommand(CLI::App& app, CommandLine& line);
void AddWorkerCommand(CLI::App& app, CommandLine& line);
void AddCompletionCommand(CLI::App& app, CommandLine& line);
void AddManualCommand(CLI::App& app, CommandLine& line);

}  // namespace headrace::cli
