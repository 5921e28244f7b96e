// headrace bench: llama-bench under the library, beside the disk's limit.
#include <csignal>
#include <cstdio>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/say.h"
#include "commands/bench_report.h"
#include "commands/commands.h"
#include "engine/engine_command_line.h"
#include "engine/engine_probe.h"
#include "engine/engine_variables.h"
#include "engine/load_mode.h"
#include "engine/session.h"
#include "learned/machine_profile.h"
#include "learned/mirror_speeds.h"
#include "report/exit_status.h"
#include "report/help.h"
#include "report/output.h"
#include "report/progress_line.h"
#include "setup/device_choice.h"
#include "setup/model_name.h"
#include "setup/model_setup.h"
#include "setup/options.h"
#include "setup/workers.h"

namespace headrace::cli {
namespace {

constexpr const char* kBenchExamples = R"(
Examples:
  headrace bench model.gguf --ram 4G
  headrace bench model.gguf --ram 4G --prompt 2048 --decode 64 --repetitions 5
  headrace bench model.gguf --ram 8G --vram 8G        with 8 GiB of a graphics card
  headrace bench model.gguf --ram 8G --workers 192.168.1.5    what a worker brings: once with it, once without
  headrace bench model.gguf --flash-mode off          stock llama.cpp, for comparison
  headrace bench model.gguf --ram 4G --json -- -b 1024 -ub 1024

The limit is the disk's measured speed divided by the bytes streamed per pass. headrace plan uses what bench measures
about prompts for its predictions.
)";

struct BenchOptions {
  BenchArguments arguments;
  std::string threads;
  std::string engine;
  std::string workers;
  bool json = false;
  FlashOptions flash;
};

// The speed of wide products, unless the disk held the prompt back: then it says nothing about them.
void LearnPromptSpeed(const BenchReport& report, const ModelSetup& model) {
  if (!model.devices.empty()) return;  // it is theirs
  for (const BenchRow& row : report.rows) {
    if (row.prompt_tokens == 0 || row.decode_tokens > 0 || row.tokens_per_s <= 0) continue;
    const double seconds = static_cast<double>(row.prompt_tokens) / row.tokens_per_s;
    if (report.bound() > 0 && seconds < 1.3 / report.bound()) continue;
    RememberPromptFlops(model.path, report.engine_version, 2 * model.weights.active_parameters * row.tokens_per_s);
  }
}

std::vector<BenchWorker> WorkersOf(const ModelSetup& model) {
  std::vector<BenchWorker> workers;
  if (!model.memory.engine) return workers;
  for (const DeviceMemory& used : model.memory.engine->devices) {
    for (const Device& device : model.devices) {
      if (device.remote && device.name == used.name) workers.push_back({device.description, used});
    }
  }
  return workers;
}

int Bench(BenchOptions options, const CommandLine& line) {
  auto model = PrepareModel(options.arguments.model, options.flash);
  if (!model.ok()) return Fail(model.status());
  auto engine = PrepareEngine(options.engine, {"llama-bench"}, model->config);
  if (!engine.ok()) return Fail(engine.status().message(), kExitNotFound);
  const auto known = QueryOptions(engine->program);
  if (!known.ok()) return Fail(known.status().message(), kExitNotExecutable);
  const auto variables = ChooseVariables(line.variables, *known, line.rest, {});
  for (const std::string& text : variables.lines) Say(text);
  options.arguments.rest = Joined(variables.arguments, line.rest);
  if (!options.threads.empty()) options.arguments.threads = options.threads;
  if (const Status asked =
          PutWorkersBefore(options.workers, engine->engine, model->path, options.arguments.rest, &model->asked_devices);
      !asked.ok())
    return Fail(asked);
  std::optional<Result<EngineSimulation>> simulation;
  auto on_devices = ChooseDevices(&engine->engine, *known, BenchMemoryArguments(options.arguments), *model, simulation);
  if (!on_devices.ok()) return Fail(on_devices.status());
  options.arguments.defaults = std::move(*on_devices);
  if (model->config.wants_library()) {
    const Status settled = SettleMemory(&engine->engine, BenchMemoryArguments(options.arguments), *model, simulation);
    if (!settled.ok()) return Fail(settled);
    SayDecision(*model);
    if (model->streams()) SayMapped(options.arguments.rest);
  }
  options.arguments.streams = model->streams();
  auto arguments = BuildBenchArguments(options.arguments, *known);
  if (!arguments.ok()) return Fail(arguments.status());

  BenchReport report;
  report.model = model->path;
  report.engine_version = QueryVersion(engine->engine);
  report.budget_bytes = model->memory.weights_budget_bytes;
  {
    ProgressLine progress;
    progress.Show("measuring the disk");
    // Measured now, not remembered: the limit and the result belong to one moment.
    const auto profile = MachineProfileFor(model->path, report.engine_version, true);
    std::vector<MirrorProblem> problems;  // the library says the same
    if (profile.ok()) {
      report.disk_bytes_per_s = SpeedTogether(SpeedsOfDrives(model->path, profile->disk_bytes_per_s,
                                                             model->config.mirrors, report.engine_version, problems));
    }
  }
  if (model->config.disk_bytes_per_s == 0) model->config.disk_bytes_per_s = report.disk_bytes_per_s;
  DebugEngine(*engine, *arguments, model->config);

  std::string output;
  Session session;
  session.launch.program = engine->program;
  session.launch.death_signal = SIGKILL;
  session.launch.arguments = arguments->words();
  session.owns_terminal = !model->config.debug;
  session.launch.stdin_null = true;
  // Its notes about backends; a failure is repeated below with the reason to look for.
  session.launch.stderr_null = !model->config.debug;
  session.launch.on_stdout = [&](std::string_view text) {
    output += text;
    return true;
  };
  session.config = model->LibraryConfig();
  session.library = session.config.wants_library() ? engine->library : "";
  auto result = RunSession(std::move(session));
  if (!result.ok()) return Fail(result.status().message(), kExitNotExecutable);
  result->on_devices = model->memory.loads_only;
  if (model->config.debug) SayRaw(output);
  if (result->process.signal != 0 || result->process.exit_status != 0) {
    if (const std::string lost = LostWorkers(*arguments); !lost.empty())
      return Fail(fmt::format("{}; the same command measures without it", lost), kExitFailure);
  }
  if (const int status = ReportEnd(*result, model->config, "llama-bench"); status != kExitOk) {
    return result->process.signal != 0 ? status
                                       : Fail("llama-bench failed; run headrace bench --debug to see why", status);
  }
  auto rows = ParseBench(output);
  if (!rows.ok()) return Fail(rows.status().message(), kExitFailure);
  report.rows = std::move(*rows);
  report.statistics = result->statistics.value_or(Statistics());
  report.on_devices = result->on_devices;
  report.workers = WorkersOf(*model);
  LearnPromptSpeed(report, *model);
  WriteOutput(options.json ? RenderBenchJson(report) : RenderBenchText(report));
  return kExitOk;
}

}  // namespace

void AddBenchCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("bench", "Measure tokens/s, and compare them with what the disk allows");
  command->footer(kBenchExamples);
  const auto options = std::make_shared<BenchOptions>();
  BenchArguments& arguments = options->arguments;
  TakesModel(
      command->add_option("model", arguments.model, "GGUF file, any part of a split one, or a name of `headrace list`"))
      ->required()
      ->type_name("MODEL");
  command->add_option("-p,--prompt", arguments.prompt_tokens, "Length of the prompt in tokens, 0 for none")
      ->type_name("N")
      ->check(CLI::Range(0u, 1u << 20))
      ->capture_default_str();
  command->add_option("-n,--decode", arguments.decode_tokens, "Tokens to decode, 0 for none")
      ->type_name("N")
      ->check(CLI::Range(0u, 1u << 20))
      ->capture_default_str();
  command->add_option("-r,--repetitions", arguments.repetitions, "Number of measurements of each")
      ->type_name("N")
      ->check(CLI::Range(1u, 1000u))
      ->capture_default_str();
  command->add_option("-t,--threads", options->threads, "Threads (default: llama.cpp's)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{-1}, int64_t{65536}));
  command->add_flag("--json", options->json, "Machine-readable output");
  AddFlashOptions(*command, options->flash);
  AddWorkersOption(*command, options->workers);
  AddEngineOption(*command, options->engine);
  ShowFirst(*command, {"ram", "vram", "prompt", "decode", "repetitions", "json"});
  command->callback([options, &line] { line.action = [options, &line] { return Bench(*options, line); }; });
}

}  // namespace headrace::cli
