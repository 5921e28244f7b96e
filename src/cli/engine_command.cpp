// headrace engine: which llama.cpp is used, and installing one.
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/engine_probe.h"
#include "cli/exit_status.h"
#include "cli/launcher.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/text_table.h"

namespace headrace::cli {
namespace {

constexpr const char* kEngineExamples = R"(
Examples:
  headrace engine                      which llama.cpp is used, from where, its version
  headrace engine install              Debian's llama.cpp into ~/.local/share/headrace/engine, without root
  headrace engine install --force      again, although one is there

Looked for in this order: --engine or HEADRACE_ENGINE, ~/.local/share/headrace/engine, the build tree that
headrace runs from, PATH.
)";

int EngineStatus(const std::string& option) {
  const SearchPaths paths = SystemSearchPaths(option);
  const auto engine = LocateEngine(paths);
  if (!engine.ok()) return Fail(engine.status().message(), kExitNotFound);
  const GgmlCheck ggml = CheckGgml(*engine);
  TextTable table({TextTable::Align::kLeft, TextTable::Align::kLeft});
  table.AddRow({"programs", fmt::format("{} ({})", engine->bin_dir, engine->origin)});
  table.AddRow({"llama.cpp", QueryVersion(*engine)});
  table.AddRow({"ggml", ggml.version.empty() ? "unknown" : fmt::format("{} ({})", ggml.version, ggml.library)});
  table.AddRow({"streaming", ggml.usable ? (ggml.off.empty() ? "possible" : "possible, but " + ggml.off) : "not possible: " + ggml.problem});
  WriteOutput(table.Render());
  return kExitOk;
}

int EngineInstall(bool force) {
  const SearchPaths paths = SystemSearchPaths("");
  const auto script = LocateInstaller(paths);
  if (!script.ok()) return Fail(script.status().message(), kExitNotFound);
  const std::string prefix = PrivatePrefix(paths);
  if (prefix.empty()) return Fail("neither HOME nor XDG_DATA_HOME is set; set one to say where the engine goes", kExitUsage);
  LaunchSpec spec;
  spec.program = "/bin/sh";
  spec.arguments = {*script, prefix};
  if (force) spec.arguments.emplace_back("--force");
  const auto outcome = Launch(spec);
  if (!outcome.ok()) return Fail(outcome.status().message(), kExitNotExecutable);
  if (outcome->signal != 0) return Fail("the installation " + DescribeSignal(outcome->signal, false), outcome->exit_status);
  if (outcome->exit_status != kExitOk) {
    return Fail("the engine was not installed; the line above says why", outcome->exit_status);
  }
  return EngineStatus("");
}

}  // namespace

void AddEngineCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("engine", "Say which llama.cpp is used, or install one");
  command->footer(kEngineExamples);
  command->require_subcommand(0, 1);
  const auto engine = std::make_shared<std::string>();
  AddEngineOption(*command, *engine);
  CLI::App* status = command->add_subcommand("status", "Which llama.cpp is used, from where, its version (the default)");
  const auto status_engine = std::make_shared<std::string>();
  AddEngineOption(*status, *status_engine);
  CLI::App* install = command->add_subcommand("install", "Install Debian's llama.cpp for this user, without root");
  const auto force = std::make_shared<bool>(false);
  install->add_flag("--force", *force, "Install again although one is there");
  install->callback([force, &line] { line.action = [force] { return EngineInstall(*force); }; });
  status->callback([status_engine, engine, &line] {
    line.action = [status_engine, engine] { return EngineStatus(status_engine->empty() ? *engine : *status_engine); };
  });
  command->callback([command, engine, &line] {
    if (command->get_subcommands().empty()) line.action = [engine] { return EngineStatus(*engine); };
  });
}

}  // namespace headrace::cli
