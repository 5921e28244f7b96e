#include "run/run_plan.h"

#include <filesystem>

#include <fmt/format.h>

#include "base/say.h"
#include "engine/engine_memory.h"
#include "engine/file_arguments.h"
#include "run/prompt_text.h"
#include "run/server_choice.h"
#include "setup/device_choice.h"
#include "setup/head_trial.h"
#include "setup/learned_place.h"
#include "setup/model_cost.h"

namespace headrace::run {
namespace {

// What a chat template adds to a prompt, in tokens, at most.
constexpr uint64_t kTemplateTokens = 100;

struct Server {
  std::string program;
  cli::OptionNames known;
  std::string prompt;
};

// kUnsupported: llama-completion has to do it.
Result<Server> FindServer(const cli::RunArguments& run, uint64_t context, const cli::EngineSetup& engine) {
  if (run.model_context > 0 && context > run.model_context) {
    return Status(Code::kUnsupported, fmt::format("it takes no more than the {} tokens that the model was trained with",
                                                  run.model_context));
  }
  auto program = cli::LocateProgram("llama-server", &engine.engine, cli::SearchPaths());
  if (!program.ok()) return program.status();
  auto known = cli::QueryOptions(*program);
  if (!known.ok()) return known.status();
  if (const std::string why = WhyNotServer(run.rest, run.defaults, *known); !why.empty())
    return Status(Code::kUnsupported, why);
  const bool escapes = !run.rest.Has(cli::OptionId::kNoEscape);
  auto prompt = PromptText(run.prompt, run.prompt_file, escapes);
  if (!prompt.ok()) return prompt.status();
  return Server{std::move(*program), std::move(*known), std::move(*prompt)};
}

Result<cli::EngineArguments> ServerCommand(const cli::RunArguments& run, const cli::Speculation& speculation,
                                           uint64_t batch, const cli::OptionNames& known) {
  cli::ServerArguments server = OneAnswerArguments(run, known);
  server.speculation = speculation.options;
  server.batch_tokens = batch;
  return BuildServerArguments(server, known);
}

// Where the model's own head promises more than what was chosen without it, all are those with the head.
void PreferHead(const cli::SpeculationOptions& options, const cli::EngineArguments& arguments,
                const cli::SpeculationInput& without, const cli::EngineSetup& engine,
                std::optional<Result<cli::EngineSimulation>>& simulation, cli::ModelSetup& model, RunPlan& plan,
                cli::Learned& learned) {
  auto trial = TryHead(engine.engine, arguments, model, plan.place, simulation);
  if (!trial) return;
  auto chosen = ChooseSpeculation(options, trial->Input(without));
  if (!chosen.ok() || !HeadPays(options, *chosen, *plan.speculation)) return LeaveHead(arguments, simulation);
  plan.speculation = std::move(*chosen);
  plan.place = std::move(trial->place);
  learned = std::move(trial->learned);
  model = std::move(trial->model);
}

}  // namespace

Result<RunPlan> PlanRun(cli::RunArguments run, const cli::SpeculationOptions& speculation,
                        const cli::EngineSetup& engine, const cli::OptionNames& known, cli::ModelSetup& model) {
  RunPlan plan;
  plan.program = engine.program;
  auto arguments = BuildRunArguments(run, known);
  if (!arguments.ok()) return arguments.status();
  HEADRACE_RETURN_IF_ERROR(cli::CheckFileArguments(*arguments));
  std::string draft_type;
  if (speculation.uses_draft()) {
    const auto draft = cli::CheckDraft(model, speculation.draft);
    if (!draft.ok()) return draft.status();
    draft_type = draft->type;
  }
  std::optional<Result<cli::EngineSimulation>> simulation;
  const auto with_draft = [&](const cli::EngineArguments& words) {
    return Joined(words, cli::DraftArguments(speculation, run.rest));
  };
  auto on_devices = ChooseDevices(&engine.engine, known, with_draft(*arguments), model, simulation);
  if (!on_devices.ok()) return on_devices.status();
  if (!on_devices->empty()) {
    run.defaults.insert(run.defaults.end(), on_devices->begin(), on_devices->end());
    arguments = BuildRunArguments(run, known);
    if (!arguments.ok()) return arguments.status();
  }
  if (model.config.wants_library())
    HEADRACE_RETURN_IF_ERROR(SettleMemory(&engine.engine, with_draft(*arguments), model, simulation));
  const bool asked = speculation.uses_draft() || speculation.mode == "on";
  run.streams = model.streams();
  if (!model.passes_stream() && !asked) {
    if (run.streams) arguments = BuildRunArguments(run, known);  // mapped
    if (!arguments.ok()) return arguments.status();
    plan.arguments = std::move(*arguments);
    return plan;
  }
  std::optional<Server> server;
  if (run.one_answer()) {
    auto found = FindServer(run, arguments->Number(cli::OptionId::kContext), engine);
    if (found.ok()) {
      server = std::move(*found);
      plan.by_server = true;
      plan.program = server->program;
      plan.prompt = server->prompt;
    } else if (run.debug) {
      Say(fmt::format("llama-server cannot answer: {}; {} does", found.status().message(),
                      std::filesystem::path(plan.program).filename().string()));
    }
  }
  if (run.streams) AddDiskSpeed(run.model, engine.engine, model.config);
  plan.place = LearnedPlaceOf(model, speculation.draft, QueryVersion(engine.engine));
  plan.machine = cli::MachineSpeeds(run.model, plan.place.engine_version);
  if (model.config.disk_bytes_per_s > 0) plan.machine.disk_bytes_per_s = model.config.disk_bytes_per_s;
  cli::Learned learned = LoadLearned(plan.place);
  cli::SpeculationInput input{model, plan.machine, server ? server->known : known, run.rest, learned};
  const bool may_use_head = MayUseHead(speculation, run.rest, model, &engine.engine, input.known, input.why_no_head);
  if (!draft_type.empty()) input.draft_type = draft_type;
  input.most_draft_tokens = cli::MostDraftTokens(run.rest, run.defaults, 1);
  auto chosen = ChooseSpeculation(speculation, input);
  if (!chosen.ok()) return chosen.status();
  plan.speculation = std::move(*chosen);
  if (may_use_head) PreferHead(speculation, with_draft(*arguments), input, engine, simulation, model, plan, learned);

  std::optional<uint64_t> width;
  if (model.passes_stream()) {
    const auto cost = PassCostOf(model, plan.machine, learned);
    if (!cost.ok()) return cost.status();
    const uint64_t bytes = server ? plan.prompt.size() + run.system_prompt.size() + kTemplateTokens : 0;
    width = ChoosePromptWidth(model, *cost, Joined(cli::EngineArguments(run.defaults), run.rest), PromptPasses::kAlone,
                              bytes, simulation->ok() ? &**simulation : nullptr);
    // A prompt that is read in one pass is no matter of widths.
    if (width && (bytes == 0 || *width < bytes)) model.prompt_width = *width;
  }
  if (server) {
    arguments = ServerCommand(run, *plan.speculation, width.value_or(0), server->known);
  } else {
    run.defaults.insert(run.defaults.end(), plan.speculation->options.begin(), plan.speculation->options.end());
    if (width) run.defaults.push_back(WithValue(cli::OptionId::kUbatch, std::to_string(*width)));
    arguments = BuildRunArguments(run, known);
  }
  if (!arguments.ok()) return arguments.status();
  if (model.config.wants_library()) {
    const auto memory = server ? cli::ServerMemoryArguments(*arguments) : *arguments;
    HEADRACE_RETURN_IF_ERROR(SettleMemory(&engine.engine, memory, model, simulation));
  }
  plan.context = arguments->Number(cli::OptionId::kContext);
  if (plan.context == 0) plan.context = model.catalogue.context_length;
  plan.arguments = std::move(*arguments);
  return plan;
}

double PromptSeconds(const RunPlan& plan, const cli::ModelSetup& model, uint64_t tokens) {
  const auto prediction = cli::PredictionOf(model, plan.machine, tokens);
  return prediction.ok() ? prediction->first_token_s : 0;
}

}  // namespace headrace::run
