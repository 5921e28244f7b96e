// headrace plan: what would be resident and streamed, and how fast it would be.
#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/say.h"
#include "commands/commands.h"
#include "engine/engine_command_line.h"
#include "engine/engine_probe.h"
#include "engine/engine_variables.h"
#include "engine/file_arguments.h"
#include "learned/machine_profile.h"
#include "report/exit_status.h"
#include "report/help.h"
#include "report/output.h"
#include "report/progress_line.h"
#include "setup/device_choice.h"
#include "setup/head_trial.h"
#include "setup/learned_place.h"
#include "setup/model_cost.h"
#include "setup/model_name.h"
#include "setup/modelfile_use.h"
#include "setup/options.h"
#include "setup/plan_report.h"
#include "setup/workers.h"

namespace headrace::cli {
namespace {

constexpr const char* kPlanExamples = R"(
Examples:
  headrace plan model.gguf                     with nine tenths of the available memory
  headrace plan model.gguf --ram 8G            with 8 GiB for the whole process
  headrace plan model.gguf --ram 8G -c 32768 -- -ctk q8_0 -ctv q8_0      another context, a quantized KV cache
  headrace plan model.gguf --ram 8G --draft small.gguf                   what a draft model would gain
  headrace plan model.gguf --ram 8G --vram 8G   with 8 GiB of a graphics card
  headrace plan model.gguf --ram 8G --json     for programs: sizes in bytes

While weights stream, a pass costs nearly the same for several tokens as for one. Speculative decoding uses that. A table
says how long drafts would be and what they would gain, by how many of their tokens are right.

Options of llama.cpp come after --, as for `headrace run`. headrace counts those that change what llama.cpp allocates.

headrace reads only the headers of the model, and at most 256 MB of it to measure the disk. It keeps the machine's speeds
for 30 days in ~/.cache/headrace/machine.json.
)";

struct PlanOptions {
  std::string model;
  std::string modelfile;
  bool no_modelfile = false;
  std::string engine;
  std::string context;
  uint64_t prompt_tokens = 512;
  bool json = false;
  bool measure = false;
  std::string workers;
  FlashOptions flash;
  SpeculationOptions speculation;
};

// Without a program of the engine nothing is known against it.
OptionNames OptionsOf(const char* name, const Engine* engine) {
  const auto program =
      engine == nullptr ? Result<std::string>(Status(Code::kNotFound, "")) : LocateProgram(name, engine, SearchPaths());
  const auto names = program.ok() ? QueryOptions(*program) : program.status();
  return names.ok() ? *names : OptionNames();
}

// What `headrace run` would tell the engine's program, as far as it changes the memory; without an engine the model
// alone.
Result<EngineArguments> ProgramArguments(const Engine* engine, const RunArguments& run) {
  for (const char* name : {"llama-completion", "llama-cli"}) {
    if (engine == nullptr) break;
    const auto program = LocateProgram(name, engine, SearchPaths());
    if (!program.ok()) continue;
    const auto known = QueryOptions(*program);
    if (!known.ok()) return known.status();
    return BuildRunArguments(run, *known);
  }
  return EngineArguments({WithValue(OptionId::kModel, run.model)});
}

// The same for the llama-server that answers while weights stream; `arguments`, of the other program, where there is
// none.
EngineArguments AnsweringArguments(const RunArguments& run, const OptionNames& known, std::optional<uint64_t> width,
                                   EngineArguments arguments) {
  if (known.Has("-m")) {
    ServerArguments server = OneAnswerArguments(run, known);
    server.batch_tokens = width.value_or(0);
    if (auto words = BuildServerArguments(server, known); words.ok()) return ServerMemoryArguments(*std::move(words));
  }
  if (width) arguments.Append(OptionId::kUbatch, std::to_string(*width));
  return ServerMemoryArguments(std::move(arguments));
}

int Plan(PlanOptions options, const CommandLine& line) {
  EngineArguments rest = line.rest;
  if (options.model.empty() && options.modelfile.empty()) return Fail(NoModelText("plan"), kExitUsage);
  const auto file = FindModelfile(options.model, options.modelfile, !options.no_modelfile);
  if (!file.ok()) return Fail(file.status());
  options.model = file->model;
  auto model = PrepareModel(options.model, WithFlash(options.flash, file->file));
  if (!model.ok()) return Fail(model.status());
  auto defaults = EngineOptionsOf(*file, model->catalogue);
  if (!defaults.ok()) return Fail(defaults.status());
  for (const std::string& note : DescribeModelfile(*file, model->catalogue)) Say(note);
  // Without an engine the disk can still be measured; kernel speeds belong to an engine.
  const auto located = LocateEngine(SystemSearchPaths(options.engine));
  if (!located.ok() && !options.engine.empty()) return Fail(located.status().message(), kExitNotFound);
  const Engine* engine = located.ok() ? &*located : nullptr;
  if (!line.variables.empty()) {  // as `run` does
    EngineArguments said = rest;
    if (!options.context.empty()) said.Append(OptionId::kContext, options.context);
    said.Append(SaidOfSpeculation(options.speculation));
    said.Append(EngineArguments(*defaults));
    const auto variables = ChooseVariables(line.variables, OptionsOf("llama-cli", engine), said, ServerModeOptions());
    rest = Joined(variables.arguments, rest);
    for (const std::string& text : variables.lines) Say(text);
  }
  if (engine != nullptr) {
    if (const Status asked = PutWorkersBefore(options.workers, *engine, model->path, rest, &model->asked_devices);
        !asked.ok())
      return Fail(asked);
  }
  std::string draft_type;
  if (options.speculation.uses_draft()) {
    const auto draft = CheckDraft(*model, options.speculation.draft);
    if (!draft.ok()) return Fail(draft.status());
    draft_type = draft->type;
  }
  RunArguments run;
  run.model = options.model;
  run.model_context = model->catalogue.context_length;
  if (!options.context.empty()) run.settings.context = ContextText(options.context, run.model_context);
  run.defaults = std::move(*defaults);
  run.rest = rest;
  auto arguments = ProgramArguments(engine, run);
  if (!arguments.ok()) return Fail(arguments.status());
  if (const Status files = CheckFileArguments(*arguments); !files.ok()) return Fail(files);
  const auto with_draft = [&](const EngineArguments& words) {
    return Joined(words, DraftArguments(options.speculation, rest));
  };
  std::optional<Result<EngineSimulation>> simulation;
  const auto on_devices =
      ChooseDevices(engine, OptionsOf("llama-cli", engine), with_draft(*arguments), *model, simulation);
  if (!on_devices.ok()) return Fail(on_devices.status());
  if (!on_devices->empty()) {
    run.defaults.insert(run.defaults.end(), on_devices->begin(), on_devices->end());
    arguments = ProgramArguments(engine, run);
    if (!arguments.ok()) return Fail(arguments.status());
  }
  if (const Status settled = SettleMemory(engine, with_draft(*arguments), *model, simulation); !settled.ok())
    return Fail(settled);
  const std::string version = engine != nullptr ? QueryVersion(*engine) : "none";
  std::optional<ProfileEntry> machine;
  std::vector<DriveSpeed> drives;
  std::vector<MirrorProblem> mirror_problems;
  {
    ProgressLine progress;
    progress.Show("measuring the disk");
    const std::string& file_path = model->catalogue.files.empty() ? options.model : model->catalogue.files.front().path;
    const auto profile = MachineProfileFor(file_path, version, options.measure);
    if (profile.ok()) {
      machine = *profile;
      if (!model->config.mirrors.empty()) {
        drives = SpeedsOfDrives(file_path, profile->disk_bytes_per_s, model->config.mirrors, version, mirror_problems);
        machine->disk_bytes_per_s = SpeedTogether(drives);
      }
    } else if (model->config.debug) {
      progress.Show("");
      Say(profile.status().message());
    }
  }
  for (const MirrorProblem& problem : mirror_problems) Say(problem.Line());
  for (const std::string& shared : SharedDiskLines(drives)) Say(shared);
  const MachineProfile speeds = machine ? ToMachineProfile(*machine) : MachineProfile();
  const LearnedPlace place =
      LearnedPlaceOf(*model, options.speculation.uses_draft() ? options.speculation.draft : "", version);
  const Learned learned = LoadLearned(place);
  const OptionNames known = OptionsOf("llama-server", engine);
  auto words = with_draft(*arguments);
  if (model->passes_stream()) {  // then `run` has llama-server answer, and chooses how wide the passes of a prompt are
    const auto cost = PassCostOf(*model, speeds, learned);
    if (!cost.ok()) return Fail(cost.status());
    run.streams = true;
    const auto width = ChoosePromptWidth(*model, *cost, Joined(EngineArguments(run.defaults), rest),
                                         PromptPasses::kAlone, 0, simulation->ok() ? &**simulation : nullptr);
    model->prompt_width = width.value_or(0);
    const uint64_t least = model->memory.least_bytes;  // without the width nothing is chosen
    words = with_draft(AnsweringArguments(run, known, width, *arguments));
    if (const Status settled = SettleMemory(engine, words, *model, simulation); !settled.ok()) return Fail(settled);
    model->memory.least_bytes = std::max(least, model->memory.least_bytes);
  }
  SpeculationInput input{*model, speeds, known, rest, learned, 1, draft_type};
  input.most_draft_tokens = MostDraftTokens(rest, run.defaults, 1);
  const bool may_use_head = MayUseHead(options.speculation, rest, *model, engine, known, input.why_no_head);
  auto speculation = MakeSpeculationReport(options.speculation, input);
  if (!speculation.ok()) return Fail(speculation.status());
  if (auto trial = may_use_head ? TryHead(*engine, words, *model, place, simulation) : std::nullopt) {
    auto with_head = MakeSpeculationReport(options.speculation, trial->Input(input));
    if (with_head.ok() && HeadPays(options.speculation, with_head->chosen, speculation->chosen)) {
      speculation = std::move(with_head);
      *model = std::move(trial->model);
    }
  }
  auto report = MakePlanReport(std::move(*model), machine, options.prompt_tokens,
                               ContextText(arguments->Value(OptionId::kContext).value_or(""), run.model_context),
                               learned.experts);
  if (!report.ok()) return Fail(report.status());
  report->drives = std::move(drives);
  report->speculation = std::move(*speculation);
  WriteOutput(options.json ? RenderPlanJson(*report) : RenderPlanText(*report));
  return kExitOk;
}

}  // namespace

void AddPlanCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("plan", "Predict what a model keeps in memory, what it streams, and how fast it runs");
  command->footer(kPlanExamples);
  const auto options = std::make_shared<PlanOptions>();
  TakesModel(
      command->add_option("model", options->model, "GGUF file, any part of a split one, or a name of `headrace list`"))
      ->type_name("MODEL");
  CLI::Option* modelfile = command
                               ->add_option("--modelfile", options->modelfile,
                                            "Take the model and its settings from this file, like `headrace run`")
                               ->type_name("FILE");
  command->add_flag("--no-modelfile", options->no_modelfile, "Ignore a Modelfile beside the model")
      ->excludes(modelfile);
  command
      ->add_option("-c,--ctx-size", options->context,
                   "Context in tokens, 0 for the model's own (default: the model's, at most 4096)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{0}, int64_t{INT32_MAX}));
  command->add_option("--prompt-tokens", options->prompt_tokens, "Length of the prompt, in tokens, for the prediction")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 30))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Machine-readable output");
  command->add_flag("--measure", options->measure, "Measure the machine again instead of using earlier measurements");
  AddFlashOptions(*command, options->flash);
  AddWorkersOption(*command, options->workers);
  AddSpeculationOptions(*command, options->speculation);
  AddEngineOption(*command, options->engine);
  ShowFirst(*command, {"ram", "vram", "ctx-size", "draft", "json"});
  command->callback([options, &line] { line.action = [options, &line] { return Plan(*options, line); }; });
}

}  // namespace headrace::cli
