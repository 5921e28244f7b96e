#include "check/engine_command.h"

#include <algorithm>
#include <ctime>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/say.h"
#include "check/engine_check.h"
#include "engine/engine_probe.h"
#include "engine/engine_verdict.h"
#include "process/launcher.h"
#include "report/exit_status.h"
#include "report/output.h"
#include "report/progress_line.h"
#include "report/text_table.h"
#include "setup/model_setup.h"

namespace headrace::check {
namespace {

using cli::Fail;
using cli::TextTable;

constexpr const char* kEngineExamples = R"(
Examples:
  headrace engine                      which llama.cpp headrace uses, and where
  headrace engine install              installs Debian's llama.cpp, without root
  headrace engine install --force      installs again, even if one is there
  headrace engine check                compares two models, streamed and not
  headrace engine check --engine DIR   checks another llama.cpp

headrace looks for llama.cpp in this order: --engine or HEADRACE_ENGINE, ~/.local/share/headrace/engine (where
`headrace engine install` installs it), the build tree that headrace runs from, PATH.
)";

int EngineStatus(const std::string& option) {
  const cli::SearchPaths paths = cli::SystemSearchPaths(option);
  const auto engine = cli::LocateEngine(paths);
  if (!engine.ok()) return Fail(engine.status().message(), cli::kExitNotFound);
  const cli::GgmlCheck ggml = cli::CheckGgml(*engine);
  TextTable table({TextTable::Align::kLeft, TextTable::Align::kLeft});
  table.AddRow({"programs", fmt::format("{} ({})", engine->bin_dir, engine->origin)});
  table.AddRow({"llama.cpp", cli::QueryVersion(*engine)});
  table.AddRow({"ggml", ggml.version.empty() ? "unknown" : fmt::format("{} ({})", ggml.version, ggml.library)});
  table.AddRow({"streaming", ggml.usable ? (ggml.off.empty() ? "possible" : "possible, but " + ggml.off)
                                         : "not possible: " + ggml.problem});
  if (const auto library = cli::LocateLibrary(paths); ggml.usable && library.ok()) {
    table.AddRow({"checked", cli::DescribeVerdict(cli::LoadVerdict(*engine, *library))});
  }
  cli::WriteOutput(table.Render());
  return cli::kExitOk;
}

int EngineCheck(const std::string& option) {
  Config streams;
  streams.flash_mode = FlashMode::kOn;  // so that the library is looked for
  const auto engine = cli::PrepareEngine(option, {"llama-server"}, streams);
  if (!engine.ok()) return Fail(engine.status().message(), cli::kExitNotFound);
  const auto cases = CheckCases(engine->paths);
  if (!cases.ok()) return Fail(cases.status().message(), cli::kExitNotFound);
  const auto known = cli::QueryOptions(engine->program);
  if (!known.ok()) return Fail(known.status().message(), cli::kExitNotExecutable);
  std::vector<CaseResult> results;
  for (const CheckCase& test : *cases) {
    cli::ProgressLine progress;
    progress.Show(test.name);
    const CaseResult& result = results.emplace_back(RunCase(test, *engine, *known));
    progress.Show("");
    if (result.signal != 0) return cli::kExitSignal + result.signal;
    cli::WriteOutput(fmt::format("{:<38}{}\n", test.name, result.text));
  }
  const cli::EngineVerdict verdict = Judge(results, std::time(nullptr));
  // A machine that had no memory for it says nothing about the engine.
  const bool proved = verdict.same || std::any_of(results.begin(), results.end(), [](const CaseResult& result) {
                        return result.outcome == Outcome::kDiffers;
                      });
  if (const Status kept = proved ? cli::StoreVerdict(engine->engine, engine->library, verdict) : Status(); !kept.ok()) {
    Say("headrace could not keep the verdict: " + kept.message());
  }
  const std::string what = fmt::format("llama.cpp {} in {}", cli::QueryVersion(engine->engine), engine->engine.bin_dir);
  if (!verdict.same) return Fail(fmt::format("{}: {}", what, verdict.text), cli::kExitFailure);
  cli::WriteOutput(fmt::format("{}: {}\n", what, verdict.text));
  return cli::kExitOk;
}

int EngineInstall(bool force, bool check) {
  const cli::SearchPaths paths = cli::SystemSearchPaths("");
  const auto script = cli::LocateInstaller(paths);
  if (!script.ok()) return Fail(script.status().message(), cli::kExitNotFound);
  const std::string prefix = cli::PrivatePrefix(paths);
  if (prefix.empty())
    return Fail("neither HOME nor XDG_DATA_HOME is set; set one to say where the engine goes", cli::kExitUsage);
  cli::LaunchSpec spec;
  spec.program = "/bin/sh";
  spec.arguments = {*script, prefix};
  if (force) spec.arguments.emplace_back("--force");
  const auto outcome = cli::Launch(spec);
  if (!outcome.ok()) return Fail(outcome.status().message(), cli::kExitNotExecutable);
  if (outcome->signal != 0)
    return Fail("the installation " + cli::DescribeSignal(outcome->signal, false), outcome->exit_status);
  if (outcome->exit_status != cli::kExitOk) {
    return Fail("the engine was not installed; the line above says why", outcome->exit_status);
  }
  const int status = EngineStatus("");
  return status == cli::kExitOk && check ? EngineCheck("") : status;
}

}  // namespace

void AddEngineCommand(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command = app.add_subcommand("engine", "Show which llama.cpp headrace uses, install one, or check one");
  command->footer(kEngineExamples);
  command->require_subcommand(0, 1);
  const auto engine = std::make_shared<std::string>();
  cli::AddEngineOption(*command, *engine);
  CLI::App* status = command->add_subcommand(
      "status", "Show which llama.cpp headrace uses, where it is, and its version (the default)");
  const auto status_engine = std::make_shared<std::string>();
  cli::AddEngineOption(*status, *status_engine);
  CLI::App* install = command->add_subcommand("install", "Install Debian's llama.cpp for this user, without root");
  const auto force = std::make_shared<bool>(false);
  install->add_flag("--force", *force, "Install again, even if one is there");
  const auto unchecked = std::make_shared<bool>(false);
  install->add_flag("--no-check", *unchecked, "Do not run `headrace engine check` afterwards");
  install->callback(
      [force, unchecked, &line] { line.action = [force, unchecked] { return EngineInstall(*force, !*unchecked); }; });
  CLI::App* check = command->add_subcommand(
      "check", "Run two small models with streamed weights and without, and compare every probability");
  const auto check_engine = std::make_shared<std::string>();
  cli::AddEngineOption(*check, *check_engine);
  check->callback([check_engine, engine, &line] {
    line.action = [check_engine, engine] { return EngineCheck(check_engine->empty() ? *engine : *check_engine); };
  });
  status->callback([status_engine, engine, &line] {
    line.action = [status_engine, engine] { return EngineStatus(status_engine->empty() ? *engine : *status_engine); };
  });
  command->callback([command, engine, &line] {
    if (command->get_subcommands().empty()) line.action = [engine] { return EngineStatus(*engine); };
  });
}

}  // namespace headrace::check
