// headrace plan: what would be resident and streamed, and how fast it would be.
#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/engine_arguments.h"
#include "cli/engine_probe.h"
#include "cli/engine_variables.h"
#include "cli/exit_status.h"
#include "cli/machine_profile.h"
#include "cli/model_cost.h"
#include "cli/options.h"
#include "cli/plan_report.h"
#include "cli/session.h"

namespace headrace::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  headrace plan model.gguf                     with nine tenths of the available memory
  headrace plan model.gguf --ram 8G            with 8 GiB for the whole process
  headrace plan model.gguf --ram 8G -c 32768 -- -ctk q8_0 -ctv q8_0      another context, a quantized KV cache
  headrace plan model.gguf --ram 8G --draft small.gguf                   what a draft model beside it would gain
  headrace plan model.gguf --ram 8G --json     for programs: sizes in bytes

While weights stream a pass costs nearly the same for one token as for several, and speculative decoding fills it: a table says how
long drafts would be and what they would gain, by how many of their tokens are right.

After -- come options of llama.cpp's own, as for `headrace run`: those that change what it allocates count.

Nothing of the model but its headers is read, and at most 256 MB of it to measure the disk; the machine's
speeds are kept for 30 days in ~/.cache/headrace/machine.json.
)";

struct PlanOptions {
  std::string model;
  std::string engine;
  std::string context;
  uint64_t prompt_tokens = 512;
  bool json = false;
  bool measure = false;
  FlashOptions flash;
  SpeculationOptions speculation;
};

// Without a program of the engine nothing is known against it.
OptionNames OptionsOf(const char* name, const Engine* engine) {
  const auto program = engine == nullptr ? Result<std::string>(Status(Code::kNotFound, "")) : LocateProgram(name, engine, SearchPaths());
  const auto names = program.ok() ? QueryOptions(*program) : program.status();
  return names.ok() ? *names : OptionNames();
}

int Plan(const PlanOptions& options, const CommandLine& line) {
  std::vector<std::string> rest = line.rest;
  auto model = PrepareModel(options.model, options.flash);
  if (!model.ok()) return Fail(model.status());
  // Without an engine the disk can still be measured; kernel speeds belong to an engine.
  const auto located = LocateEngine(SystemSearchPaths(options.engine));
  if (!located.ok() && !options.engine.empty()) return Fail(located.status().message(), kExitNotFound);
  const Engine* engine = located.ok() ? &*located : nullptr;
  if (!line.variables.empty()) {   // as `run` does
    std::vector<std::string> said = rest;
    if (!options.context.empty()) said.emplace_back("--ctx-size");
    if (!options.speculation.draft.empty() || options.speculation.mode == "off") said.insert(said.end(), {"--spec-draft-model", "--spec-type", "--spec-draft-n-max"});
    const auto variables = ChooseVariables(line.variables, OptionsOf("llama-cli", engine), said, ServerModeOptions());
    rest.insert(rest.begin(), variables.arguments.begin(), variables.arguments.end());
    for (const std::string& text : variables.lines) fmt::print(stderr, "headrace: {}\n", text);
  }
  std::string draft_type;
  if (options.speculation.uses_draft()) {
    const auto draft = CheckDraft(*model, options.speculation.draft);
    if (!draft.ok()) return Fail(draft.status());
    draft_type = draft->type;
  }
  std::vector<std::string> arguments = {"-m", options.model, "-c", options.context};
  if (options.context.empty()) arguments.back() = std::to_string(DefaultContext(model->catalogue.context_length));
  const std::vector<std::string> draft_arguments = DraftArguments(options.speculation, rest);
  arguments.insert(arguments.end(), draft_arguments.begin(), draft_arguments.end());
  arguments.insert(arguments.end(), rest.begin(), rest.end());
  std::optional<Result<EngineSimulation>> simulation;
  if (const Status settled = SettleMemory(engine, arguments, *model, simulation); !settled.ok()) return Fail(settled);
  const std::string version = engine != nullptr ? QueryVersion(*engine) : "none";
  std::optional<ProfileEntry> machine;
  {
    ProgressLine progress;
    progress.Show("measuring the disk");
    const auto profile = MachineProfileFor(model->catalogue.files.empty() ? options.model : model->catalogue.files.front().path,
                                           version, options.measure);
    if (profile.ok()) {
      machine = *profile;
    } else if (model->config.debug) {
      progress.Show("");
      fmt::print(stderr, "headrace: {}\n", profile.status().message());
    }
  }
  const MachineProfile speeds = machine ? ToMachineProfile(*machine) : MachineProfile();
  const Learned learned = LoadLearned({model->path, options.speculation.uses_draft() ? options.speculation.draft : "",
                                       model->memory.weights_budget_bytes, version});
  if (model->streams()) {  // then `run` has llama-server answer, and chooses how wide the passes of a prompt are
    const auto cost = PassCostOf(*model, speeds, learned);
    if (!cost.ok()) return Fail(cost.status());
    if (const auto width = ChoosePromptWidth(*model, *cost, rest, 0, *simulation)) {
      for (const char* name : {"-b", "-ub"}) arguments.insert(arguments.end(), {name, std::to_string(*width)});
    }
    const uint64_t least = model->memory.least_bytes;   // without it nothing is chosen
    std::vector<std::string> server = ServerMemoryArguments(arguments);
    server.insert(server.end(), {"-np", "1", "--ctx-checkpoints", "0"});
    if (const Status settled = SettleMemory(engine, server, *model, simulation); !settled.ok()) return Fail(settled);
    model->memory.least_bytes = std::max(least, model->memory.least_bytes);
  }
  auto report = MakePlanReport(std::move(*model), machine, options.prompt_tokens, OptionValue(arguments, {"-c", "--ctx-size"}).value_or(""));
  if (!report.ok()) return Fail(report.status());
  const OptionNames known = OptionsOf("llama-server", engine);
  auto speculation = MakeSpeculationReport(options.speculation, {report->model, speeds, known, rest, learned, 1, draft_type});
  if (!speculation.ok()) return Fail(speculation.status());
  report->speculation = std::move(*speculation);
  fmt::print("{}", options.json ? RenderPlanJson(*report) : RenderPlanText(*report));
  return kExitOk;
}

}  // namespace

void AddPlanCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("plan", "Say what would be resident and streamed, and predict the speed");
  command->footer(kExamples);
  const auto options = std::make_shared<PlanOptions>();
  command->add_option("model", options->model, "GGUF file; any part of a split model")->required()->type_name("MODEL");
  command->add_option("-c,--ctx-size", options->context, "Context in tokens (default: the model's, at most 4096)")->type_name("N");
  command->add_option("--prompt-tokens", options->prompt_tokens, "Length of the prompt to predict for")
      ->type_name("N")->check(CLI::Range(uint64_t{1}, uint64_t{1} << 30))->capture_default_str();
  command->add_flag("--json", options->json, "Machine-readable output");
  command->add_flag("--measure", options->measure, "Measure the machine again instead of using what is known");
  AddFlashOptions(*command, options->flash);
  AddSpeculationOptions(*command, options->speculation);
  AddEngineOption(*command, options->engine);
  command->callback([options, &line] { line.action = [options, &line] { return Plan(*options, line); }; });
}

}  // namespace headrace::cli
