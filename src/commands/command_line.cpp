#include "commands/command_line.h"

#include <algorithm>
#include <exception>
#include <new>
#include <sstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/say.h"
#include "base/standard_streams.h"
#include "commands/commands.h"
#include "commands/config_file.h"
#include "commands/pull_command.h"
#include "engine/engine_variables.h"
#include "process/start_signals.h"
#include "report/exit_status.h"
#include "report/help.h"
#include "report/output.h"

namespace headrace::cli {
namespace {

constexpr const char* kFooter = R"(
Examples:
  headrace run model.gguf --ram 8G -p "Why is the sky blue?"
  headrace pull hf:ggml-org/gemma-3-4b-it-GGUF
  headrace list
  headrace serve --models-dir ~/models
  headrace ps
  headrace plan model.gguf --ram 8G
  headrace exec --ram 8G -- llama-server -m model.gguf
  headrace top

headrace passes everything after -- to llama.cpp's program. headrace COMMAND --help explains a command.

)";

// Help and version go to standard output with status 0, errors become one line and status 2.
int ReportParse(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    std::ostringstream help, nothing;
    app.exit(error, help, nothing);
    WriteOutput(help.str());
    return kExitOk;
  }
  std::string command = "headrace";
  for (const CLI::App* sub = &app; sub != nullptr;) {
    const auto chosen = sub->get_subcommands();
    sub = chosen.empty() ? nullptr : chosen.front();
    if (sub != nullptr) command += " " + sub->get_name();
  }
  return Fail(fmt::format("{}; see {} --help", error.what(), command), kExitUsage);
}

// Every command that does something takes it.
void AddQuietOption(CLI::App& command) {
  const auto subcommands = command.get_subcommands([](const CLI::App*) { return true; });
  for (CLI::App* subcommand : subcommands) AddQuietOption(*subcommand);
  if (subcommands.empty())
    command.add_flag_callback("-q,--quiet", LeaveOutNotes, "Print no progress and no notes, only results and errors");
}

// Of an option that is given twice the last one counts, so that whoever calls a script, an alias or a container's image
// can add options. Those that take several values keep all of them.
void LetTheLastCount(CLI::App& command) {
  for (CLI::Option* option : command.get_options([](const CLI::Option* any) { return any->nonpositional(); })) {
    if (option->get_items_expected_max() <= 1) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  for (CLI::App* subcommand : command.get_subcommands([](const CLI::App*) { return true; }))
    LetTheLastCount(*subcommand);
}

// An option of the commands that were chosen whose value is empty: most often a script's variable that is not set. It
// must not stand for the default, which has no limit of memory and no key. Null without one.
const CLI::Option* EmptyOption(const CLI::App& chosen) {
  for (const CLI::Option* option : chosen.get_options([](const CLI::Option* any) { return any->count() > 0; })) {
    const std::vector<std::string>& values = option->results();
    if (std::find(values.begin(), values.end(), "") != values.end()) return option;
  }
  for (const CLI::App* subcommand : chosen.get_subcommands()) {
    if (const CLI::Option* option = EmptyOption(*subcommand)) return option;
  }
  return nullptr;
}

int Run(int argc, const char* const* argv, const std::vector<AddCommand>& more) {
  CommandLine line;
  line.variables = TakeEngineVariables();
  const auto app = MakeApp(line, more);
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const auto dashes = std::find(words.begin(), words.end(), "--");
  line.has_rest = dashes != words.end();
  if (line.has_rest) {
    line.rest = std::vector<std::string>(dashes + 1, words.end());
    words.erase(dashes, words.end());
  }
  try {
    std::reverse(words.begin(), words.end());  // what CLI11 wants
    app->parse(words);
  } catch (const CLI::ParseError& error) {
    return ReportParse(*app, error);
  }
  for (const CLI::App* command : app->get_subcommands()) {
    if (const CLI::Option* option = EmptyOption(*command))
      return Fail(fmt::format("{} is empty; give it a value, or leave it out", option->get_name()), kExitUsage);
  }
  if (!line.action) return Fail("nothing to do; see headrace --help", kExitUsage);
  return line.action();
}

}  // namespace

std::unique_ptr<CLI::App> MakeApp(CommandLine& line, const std::vector<AddCommand>& more) {
  auto app = std::make_unique<CLI::App>(
      "Runs language models (GGUF) that are larger than memory: flash weight streaming for llama.cpp", "headrace");
  app->footer(std::string(kFooter) + kExitStatusHelp);
  app->set_version_flag("--version", "headrace " HEADRACE_VERSION);
  app->require_subcommand(1);
  SetUpHelp(*app);
  SetUpConfigFile(*app);
  for (const AddCommand add : more) add(*app, line);
  AddExecCommand(*app, line);
  AddPlanCommand(*app, line);
  AddBenchCommand(*app, line);
  AddDoctorCommand(*app, line);
  AddWorkerCommand(*app, line);
  AddPullCommand(*app, line);
  AddCompletionCommand(*app, line);
  AddManualCommand(*app, line);
  AddQuietOption(*app);
  LetTheLastCount(*app);
  return app;
}

int RunCommandLine(int argc, const char* const* argv, const std::vector<AddCommand>& more) noexcept {
  OpenStandardStreams();
  RememberStandardError();
  TakeSignals();
  try {
    return FinishOutput(Run(argc, argv, more));
  } catch (const std::bad_alloc&) {
    return Fail("out of memory; close other programs and try again", kExitFailure);
  } catch (const std::exception& error) {
    return Fail(fmt::format("internal error: {}; please report it", error.what()), kExitFailure);
  } catch (...) {
    return Fail("internal error; please report it", kExitFailure);
  }
}

}  // namespace headrace::cli
