#include "run/run_plan.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "cli/model_cost.h"
#include "plan/prompt_batch.h"
#include "run/prompt_text.h"
#include "run/server_choice.h"

namespace headrace::run {
namespace {

// What a wider prompt may take from the weights.
constexpr uint64_t kBatchPart = 16;
// What a chat template adds to a prompt, in tokens, at most.
constexpr uint64_t kTemplateTokens = 100;

struct Server {
  std::string program;
  cli::OptionNames known;
  std::string prompt;
};

// kUnsupported: llama-completion has to do it.
Result<Server> FindServer(const cli::RunArguments& run, const cli::EngineSetup& engine) {
  auto program = cli::LocateProgram("llama-server", &engine.engine, cli::SearchPaths());
  if (!program.ok()) return program.status();
  auto known = cli::QueryOptions(*program);
  if (!known.ok()) return known.status();
  if (const std::string why = WhyNotServer(run.rest, run.defaults, *known); !why.empty()) return Status(Code::kUnsupported, why);
  const bool escapes = std::find(run.rest.begin(), run.rest.end(), "--no-escape") == run.rest.end();
  auto prompt = PromptText(run.prompt, run.prompt_file, escapes);
  if (!prompt.ok()) return prompt.status();
  return Server{std::move(*program), std::move(*known), std::move(*prompt)};
}

Result<std::vector<std::string>> ServerCommand(const cli::RunArguments& run, const cli::Speculation& speculation, uint64_t batch, const cli::OptionNames& known) {
  cli::ServerArguments server;
  server.model = run.model;
  server.alias = std::filesystem::path(run.model).filename().string();
  server.context = cli::DefaultContext(run.model_context);
  server.settings = run.settings;
  server.slots = 1;
  server.streams = run.streams;
  server.debug = run.debug;
  server.speculation = speculation.options;
  server.batch_tokens = batch;
  server.defaults = run.defaults;
  server.rest = run.rest;
  // Nothing is asked twice: no states of a prompt are kept.
  if (known.Has("--ctx-checkpoints")) server.defaults.push_back({{"-ctxcp", "--ctx-checkpoints"}, "0"});
  return BuildServerArguments(server, known);
}

// The width of a prompt's passes. `bytes` of text, 0: not known beforehand, as in a chat.
uint64_t ChooseBatch(const PassCost& cost, const std::vector<std::string>& arguments, uint64_t bytes, const cli::EngineSetup& engine,
                     const cli::ModelSetup& model) {
  const uint64_t usual = model.memory.engine ? model.memory.engine->rest_bytes() : 0;
  std::optional<Result<cli::EngineSimulation>> simulation;
  const auto memory = [&](uint64_t tokens) -> std::optional<uint64_t> {
    if (tokens <= kUsualPromptBatch) return usual;
    if (!simulation) simulation = cli::EngineSimulation::Prepare(engine.engine, arguments);
    if (!simulation->ok()) return std::nullopt;
    const auto more = (*simulation)->Run({"-ub", std::to_string(tokens)});
    return more.ok() ? std::optional(more->rest_bytes()) : std::nullopt;
  };
  const uint64_t chosen = ChoosePromptBatch(cost, usual + model.memory.weights_budget_bytes / kBatchPart, memory);
  if (bytes == 0) return chosen;
  // A token has at least a byte of text.
  const auto whole = std::find_if(kPromptBatches.begin(), kPromptBatches.end(), [&](uint64_t tokens) { return tokens >= bytes; });
  return whole == kPromptBatches.end() ? chosen : std::min(chosen, *whole);
}

}  // namespace

Result<RunPlan> PlanRun(cli::RunArguments run, const cli::SpeculationOptions& speculation, const cli::EngineSetup& engine, const cli::OptionNames& known,
                        cli::ModelSetup& model) {
  RunPlan plan;
  plan.program = engine.program;
  auto arguments = BuildRunArguments(run, known);
  if (!arguments.ok()) return arguments.status();
  std::string draft_type;
  if (speculation.uses_draft()) {
    const auto draft = cli::CheckDraft(model, speculation.draft);
    if (!draft.ok()) return draft.status();
    draft_type = draft->type;
  }
  if (model.config.wants_library()) {
    std::vector<std::string> with_draft = *arguments;
    for (std::string& word : cli::DraftArguments(speculation, run.rest)) with_draft.push_back(std::move(word));
    HEADRACE_RETURN_IF_ERROR(SettleMemory(&engine.engine, with_draft, model));
  }
  const bool asked = speculation.uses_draft() || speculation.mode == "on";
  run.streams = model.streams();
  if (!run.streams && !asked) {
    plan.arguments = std::move(*arguments);
    return plan;
  }
  std::optional<Server> server;
  if (run.one_answer()) {
    auto found = FindServer(run, engine);
    if (found.ok()) {
      server = std::move(*found);
      plan.by_server = true;
      plan.program = server->program;
      plan.prompt = server->prompt;
    } else if (run.debug) {
      fmt::print(stderr, "headrace: llama-server cannot answer: {}; {} does\n", found.status().message(), std::filesystem::path(plan.program).filename().string());
    }
  }
  if (run.streams) AddDiskSpeed(run.model, engine.engine, model.config);
  plan.place = {run.model, speculation.draft, model.memory.weights_budget_bytes, QueryVersion(engine.engine)};
  plan.machine = cli::MachineSpeeds(run.model, plan.place.engine_version);
  if (model.config.disk_bytes_per_s > 0) plan.machine.disk_bytes_per_s = model.config.disk_bytes_per_s;
  const cli::Learned learned = LoadLearned(plan.place);
  cli::SpeculationInput input{model, plan.machine, server ? server->known : known, run.rest, learned};
  if (!draft_type.empty()) input.draft_type = draft_type;
  auto chosen = ChooseSpeculation(speculation, input);
  if (!chosen.ok()) return chosen.status();

  uint64_t batch = 0;   // that is chosen here
  plan.prompt_batch = kUsualPromptBatch;
  if (const auto own = cli::OptionValue(run.rest, {"-ub", "--ubatch-size"})) {
    plan.prompt_batch = std::strtoull(own->c_str(), nullptr, 10);
  } else if (run.streams && !cli::OptionValue(run.rest, {"-b", "--batch-size"})) {
    const PassCost cost = DraftCostOf(model, plan.machine, learned, false).pass;
    const uint64_t bytes = server ? plan.prompt.size() + run.system_prompt.size() + kTemplateTokens : 0;
    plan.prompt_batch = batch = ChooseBatch(cost, *arguments, bytes, engine, model);
  }
  if (server) {
    arguments = ServerCommand(run, *chosen, batch, server->known);
  } else {
    run.defaults.insert(run.defaults.end(), chosen->options.begin(), chosen->options.end());
    if (batch > 0) run.defaults.push_back({{"-ub", "--ubatch-size"}, std::to_string(batch)});
    arguments = BuildRunArguments(run, known);
  }
  if (!arguments.ok()) return arguments.status();
  if (model.config.wants_library()) HEADRACE_RETURN_IF_ERROR(SettleMemory(&engine.engine, *arguments, model));
  plan.arguments = std::move(*arguments);
  plan.speculation = std::move(*chosen);
  return plan;
}

double PromptSeconds(const RunPlan& plan, const cli::ModelSetup& model, uint64_t tokens) {
  const auto prediction = cli::PredictionOf(model, plan.machine, tokens, plan.prompt_batch);
  return prediction.ok() ? prediction->first_token_s : 0;
}

}  // namespace headrace::run
