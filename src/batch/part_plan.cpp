#include "batch/part_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/size.h"
#include "engine/engine_command_line.h"
#include "engine/engine_probe.h"
#include "engine/file_arguments.h"
#include "learned/machine_profile.h"
#include "learned/mirror_speeds.h"
#include "llama_server/engine_name.h"
#include "llama_server/lone_server.h"
#include "report/progress_line.h"
#include "serve/models/model_defaults.h"
#include "setup/device_choice.h"
#include "setup/learned_place.h"
#include "setup/model_cost.h"
#include "setup/modelfile_use.h"

namespace headrace::batch {
namespace {

// Everything that the choice of the slots needs.
class Planner {
 public:
  Planner(const BatchOptions& options, const EngineChoice& engine, const RequestFile& requests, const Part& part,
          const std::string& socket_path)
      : options_(options), engine_(engine), requests_(requests), part_(part), socket_path_(socket_path) {}

  Status Plan() {
    const auto file = cli::FindModelfile(options_.model, "", !options_.no_modelfile);
    if (!file.ok()) return file.status();
    auto model = cli::PrepareModel(file->model, cli::WithFlash(options_.flash, file->file));
    if (!model.ok()) return model.status();
    plan_.model = std::move(*model);
    auto defaults = serve::DefaultsOf(*file, plan_.model.catalogue, {});
    if (!defaults.ok()) return defaults.status();
    defaults_ = std::move(*defaults);
    if (defaults_.look_ahead) plan_.model.config.look_ahead = *defaults_.look_ahead;
    plan_.notes = defaults_.notes;
    if (!defaults_.applied.empty())
      plan_.notes.push_back(fmt::format("{}: {}", defaults_.path, fmt::join(defaults_.applied, ", ")));
    unified_ = engine_.known.Has("--kv-unified-per-slot") && options_.rest.SharesCache().value_or(true);
    SetLimits();
    options_before_ = defaults_.options;
    HEADRACE_RETURN_IF_ERROR(SetDevices(1, CacheTokens(demand_, 1)));
    HEADRACE_RETURN_IF_ERROR(SetSlots());
    HEADRACE_RETURN_IF_ERROR(SetDevices(plan_.slots.slots, plan_.slots.cache_tokens));
    return Settle();
  }

  PartPlan& plan() { return plan_; }

 private:
  void SetLimits() {
    TokenLimits& limits = plan_.limits;
    const uint64_t model_context = plan_.model.catalogue.context_length;
    limits.usual = defaults_.context_length.value_or(cli::DefaultContext(model_context));
    limits.answer = options_.answer;
    LongestContext longest(limits.usual, limits.answer);
    for (const size_t i : part_.requests) longest.Add(requests_.entries()[i].demand);
    limits.context = options_.context.value_or(longest.tokens(model_context));
    if (limits.context == 0) limits.context = model_context > 0 ? model_context : limits.usual;  // as -c 0 says
    DemandSum sum(limits);
    for (const size_t i : part_.requests) sum.Add(requests_.entries()[i].demand);
    demand_ = sum.total();
    unlimited_ = sum.unlimited();
    // Without a shared cache each slot has its own, as large as the longest needs.
    if (!unified_) demand_.mean_tokens = static_cast<double>(limits.context);
    demand_.largest_tokens = std::max(std::min(demand_.largest_tokens, 4 * limits.context), limits.context);
  }

  // The KV cache of so many slots may take weights' place there.
  Status SetDevices(uint64_t slots, uint64_t cache_tokens) {
    defaults_.options = options_before_;
    const auto arguments = Arguments(slots, cache_tokens);
    if (!arguments.ok()) return arguments.status();
    std::optional<Result<cli::EngineSimulation>> simulation;
    const auto options = ChooseDevices(&engine_.setup.engine, engine_.known, cli::ServerMemoryArguments(*arguments),
                                       plan_.model, simulation);
    if (!options.ok()) return options.status();
    defaults_.options.insert(defaults_.options.end(), options->begin(), options->end());
    return {};
  }

  Status SetSlots() {
    cli::ProgressLine progress;
    progress.Show("choosing how many requests share a pass");
    const std::string version = cli::QueryVersion(engine_.setup.engine);
    machine_ = cli::MachineSpeeds(plan_.model.path, plan_.model.config.mirrors, version);
    double& disk = plan_.model.config.disk_bytes_per_s;
    if (disk > 0) {
      machine_.disk_bytes_per_s = disk;
    } else {
      disk = machine_.disk_bytes_per_s;
    }
    if (options_.slots) {
      plan_.slots = {*options_.slots, CacheTokens(demand_, *options_.slots), 0};
      return {};
    }
    const auto arguments = Arguments(1, CacheTokens(demand_, 1));
    if (!arguments.ok()) return arguments.status();
    auto simulation = cli::EngineSimulation::Prepare(engine_.setup.engine, *arguments);
    cli::ModelSetup tried = plan_.model;
    plan_.slots = ChooseSlots(demand_, kMostSlots, [&](uint64_t slots, uint64_t tokens) -> std::optional<double> {
      std::optional<cli::EngineMemory> memory;
      if (simulation.ok()) {
        const auto told =
            simulation->Run(cli::EngineArguments({WithValue(cli::OptionId::kContext, std::to_string(tokens)),
                                                  WithValue(cli::OptionId::kSlots, std::to_string(slots))}));
        if (!told.ok()) return std::nullopt;
        memory = *told;
        if (!cli::PutContextInFile(tried.limits, tried.catalogue.layers, *memory).ok()) return std::nullopt;
      }
      tried.memory = cli::DivideMemory(tried.limits, tried.weights, tried.catalogue.weight_bytes(), memory);
      const uint64_t limit = tried.limits.process_bytes;
      if (!tried.streams() && limit > 0 && tried.memory.everything_bytes > limit) return std::nullopt;
      const auto learned = cli::LoadLearned(cli::LearnedPlaceOf(tried, "", version));
      const auto cost = cli::PassCostOf(tried, machine_, learned);
      return cost.ok() ? std::optional(cost->Seconds({static_cast<double>(slots), static_cast<double>(slots)}))
                       : std::nullopt;
    });
    return {};
  }

  Result<cli::EngineArguments> Arguments(uint64_t slots, uint64_t cache_tokens) const {
    cli::ServerArguments server;
    const Catalogue& catalogue = plan_.model.catalogue;
    server.model = plan_.model.path;
    server.socket = socket_path_;
    server.alias = serve::EngineName(catalogue.name.empty() ? "model" : catalogue.name);
    server.context = cache_tokens;
    server.slots = slots;
    server.embedding = part_.embeddings;
    server.has_pooling = catalogue.pooling > 0;
    server.streams = plan_.model.streams();
    server.debug = plan_.model.config.debug;
    server.defaults = defaults_.options;
    const auto add = [&](cli::OptionId option, const std::string& value) {
      const char* name = cli::SpellingsOf(option).front();
      if (!engine_.known.Has(name)) return;
      server.rest.Append(value.empty() ? cli::EngineArguments{name} : cli::EngineArguments{name, value});
    };
    if (unified_) {
      if (!options_.rest.Has(cli::OptionId::kSharedCache)) add(cli::OptionId::kSharedCache, "");
      add(cli::OptionId::kSharedCachePart, std::to_string(plan_.limits.context));
    }
    // Nothing goes back to an earlier place of a request: copies for that would only take memory.
    if (!options_.rest.Has(cli::OptionId::kCheckpoints)) add(cli::OptionId::kCheckpoints, "0");
    if (!options_.threads.empty()) add(cli::OptionId::kThreads, options_.threads);
    server.batch_tokens = plan_.model.prompt_width;
    if (part_.embeddings) server.input_tokens = plan_.limits.context;
    server.rest.Append(options_.rest);
    return cli::BuildServerArguments(server, engine_.known);
  }

  // Nobody waits for a next token, and each input of an embedding must be in one pass.
  bool SetWidth(cli::EngineSimulation* simulation) {
    if (part_.embeddings) return false;
    const auto cost = cli::PassCostOf(
        plan_.model, machine_,
        cli::LoadLearned(cli::LearnedPlaceOf(plan_.model, "", cli::QueryVersion(engine_.setup.engine))));
    const auto width =
        cost.ok()
            ? cli::ChoosePromptWidth(plan_.model, *cost, Joined(cli::EngineArguments(defaults_.options), options_.rest),
                                     PromptPasses::kAlone, 0, simulation)
            : std::nullopt;
    plan_.model.prompt_width = width.value_or(0);
    return width.has_value();
  }

  // What the engine's own words come to for the chosen slots.
  Status Settle() {
    auto arguments = Arguments(plan_.slots.slots, plan_.slots.cache_tokens);
    if (!arguments.ok()) return arguments.status();
    HEADRACE_RETURN_IF_ERROR(cli::CheckFileArguments(*arguments));
    std::optional<Result<cli::EngineSimulation>> simulation;
    HEADRACE_RETURN_IF_ERROR(cli::SettleMemory(&engine_.setup.engine, *arguments, plan_.model, simulation));
    const bool wider = SetWidth(simulation->ok() ? &**simulation : nullptr);
    arguments = Arguments(plan_.slots.slots, plan_.slots.cache_tokens);  // it is known now whether weights stream
    if (!arguments.ok()) return arguments.status();
    if (wider) HEADRACE_RETURN_IF_ERROR(cli::SettleMemory(&engine_.setup.engine, *arguments, plan_.model, simulation));
    plan_.arguments = std::move(*arguments);
    plan_.config = plan_.model.LibraryConfig();
    const SlotChoice& slots = plan_.slots;
    std::string line = fmt::format("{} request{}, {} at a time share a KV cache of {} tokens, each at most {} of them",
                                   part_.requests.size(), part_.requests.size() == 1 ? "" : "s", slots.slots,
                                   slots.cache_tokens, plan_.limits.context);
    if (unlimited_ > 0 && !options_.answer && !part_.embeddings &&
        slots.slots < std::min<uint64_t>(kMostSlots, part_.requests.size())) {
      line += fmt::format(
          "; {} name no max_tokens and reserve a context of {} each: -n 512 lets more requests share a pass",
          unlimited_, plan_.limits.usual);
    }
    plan_.notes.push_back(std::move(line));
    return {};
  }

  const BatchOptions& options_;
  const EngineChoice& engine_;
  const RequestFile& requests_;
  const Part& part_;
  const std::string socket_path_;
  PartPlan plan_;
  serve::ModelDefaults defaults_;
  std::vector<cli::EngineOption> options_before_;  // without what devices want
  bool unified_ = false;
  BatchDemand demand_;
  MachineProfile machine_;
  uint64_t unlimited_ = 0;
};

}  // namespace

Status CheckRest(const cli::EngineArguments& rest) {
  cli::OptionIds ours = cli::ServersOwnOptions();
  ours.insert(ours.end(), {cli::OptionId::kContext, cli::OptionId::kSlots, cli::OptionId::kSharedCachePart,
                           cli::OptionId::kEmbeddings, cli::OptionId::kNoSlotsPage});
  const std::string name = rest.FirstOf(ours);
  if (name.empty()) return {};
  return Status(Code::kInvalidArgument,
                fmt::format("headrace sets {} itself: remove it after --; see headrace batch --help", name));
}

Result<PartPlan> PlanPart(const BatchOptions& options, const EngineChoice& engine, const RequestFile& requests,
                          const Part& part, const std::string& socket_path) {
  Planner planner(options, engine, requests, part, socket_path);
  HEADRACE_RETURN_IF_ERROR(planner.Plan());
  return std::move(planner.plan());
}

}  // namespace headrace::batch
