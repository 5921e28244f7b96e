#include "serve/models/load_plan.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"
#include "engine/draft_head.h"
#include "engine/engine_command_line.h"
#include "engine/engine_memory.h"
#include "engine/file_arguments.h"
#include "learned/machine_profile.h"
#include "learned/mirror_speeds.h"
#include "llama_server/engine_name.h"
#include "plan/prompt_batch.h"
#include "plan/slots.h"
#include "serve/models/prompt_files.h"
#include "serve/models/remedies.h"
#include "setup/device_choice.h"
#include "setup/learned_place.h"
#include "setup/model_cost.h"
#include "setup/modelfile_use.h"

namespace headrace::serve {
namespace {

// The path of a model that another one names; `what` is for people.
Result<ModelEntry> FindOther(ModelLibrary& library, const std::string& name, const char* what, bool projector) {
  auto found = library.Find(name, what);
  if (!found.ok()) return found.status();
  if (!found->error.empty()) return Status(Code::kCorrupt, found->error);
  if ((found->kind == ModelKind::kProjector) != projector) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is a {} model, which cannot be a {}", name, ToString(found->kind), what));
  }
  return found;
}

// The options for this model: what --ram gives to all models is what the others leave of it.
cli::FlashOptions OptionsFor(const Settings& settings, const ModelConfig& config, const MemoryRoom& room) {
  cli::FlashOptions options = ToFlashOptions(settings.flash, config);
  if (!config.ram_gb && settings.total_bytes > 0) {
    options.ram = std::to_string(settings.total_bytes - std::min(settings.total_bytes - 1, room.granted_bytes));
  }
  return options;
}

// Where the limits came from, in the words of who asks.
void NameOrigins(const Settings& settings, const ModelConfig& config, const cli::Modelfile& modelfile,
                 const MemoryRoom& room, cli::MemoryLimits& limits) {
  if (modelfile.flash_ram_gb > 0) limits.weights_origin = "FLASH_RAM_GB of the Modelfile";
  if (config.flash_ram_gb) limits.weights_origin = "flash_ram_gb";
  if (config.ram_gb) {
    limits.process_origin = "ram_gb";
  } else if (settings.total_bytes > 0) {
    limits.process_origin = settings.total_origin;
    if (room.granted_bytes > 0)
      limits.process_origin += fmt::format(", less {} for other models", FormatSize(room.granted_bytes));
  }
}

Result<cli::EngineArguments> ServerCommand(const Settings& settings, const LoadPlan& plan,
                                           const std::string& socket_path) {
  cli::ServerArguments server;
  server.model = plan.entry.path;
  server.socket = socket_path;
  server.alias = EngineName(plan.entry.id);
  server.context = plan.context;
  server.slots = plan.asked.slots;
  server.chosen_slots = plan.asked.slots ? 0 : plan.sharing.slots;
  server.pool_tokens = plan.sharing.pool_tokens;
  server.batch_tokens = plan.sharing.batch_tokens;
  if (plan.speculation) {
    // How long the user's own drafts are is not known.
    const bool own = plan.speculation->kind == cli::SpeculationKind::kUser;
    server.judged_tokens =
        own ? kServersBatch
            : SlotsOf(plan.sharing, plan.asked.slots, settings.rest) * (1 + plan.speculation->draft_tokens);
  }
  server.checkpoints = plan.checkpoints;
  server.kv_cache_type = plan.asked.kv_cache_type;
  if (!plan.speculation || plan.speculation->kind == cli::SpeculationKind::kUser) server.draft_model = plan.draft_path;
  if (plan.speculation) server.speculation = plan.speculation->options;
  server.projector = plan.projector_path;
  server.embedding = plan.embedding;
  server.has_pooling = plan.entry.has_pooling;
  server.reranking = plan.entry.kind == ModelKind::kReranker;
  server.input_tokens = plan.input_tokens;
  server.streams = plan.must_stream();
  server.debug = plan.config.debug;
  server.defaults = plan.defaults.options;
  server.defaults.insert(server.defaults.end(), plan.device_options.begin(), plan.device_options.end());
  // llama-server does not start without the folder.
  if (!settings.prompt_folder.empty() && PromptFiles(settings.prompt_folder, 0).Prepare().ok())
    server.slot_folder = settings.prompt_folder;
  server.rest = cli::Joined(plan.workers, settings.rest);
  return cli::BuildServerArguments(server, settings.known);
}

// The same for a simulation of its memory.
Result<cli::EngineArguments> CommandForMemory(const Settings& settings, const LoadPlan& plan) {
  auto arguments = ServerCommand(settings, plan, "");
  return arguments.ok() ? cli::ServerMemoryArguments(std::move(*arguments)) : arguments;
}

// Divides the memory for llama-server as it would be started now.
Status Settle(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  const auto arguments = CommandForMemory(settings, plan);
  if (!arguments.ok()) return arguments.status();
  HEADRACE_RETURN_IF_ERROR(cli::CheckFileArguments(*arguments));
  auto& simulation = simulations.Get(settings.engine.engine, plan.entry, *arguments);
  if (!simulation.ok())
    LogWarning(fmt::format("{}: what the engine will allocate is not foretold, only measured: {}", plan.entry.id,
                           simulation.status().message()));
  const Status enough = cli::SettleMemory(simulation, *arguments, plan.setup);
  plan.enough = plan.setup.shortage ? Status(enough.code(), ShortageText(*plan.setup.shortage)) : enough;
  return {};
}

// Memory of devices that a model may have.
struct DeviceLimit {
  cli::VramLimit limit;
  bool of_all = false;  // it is the server's, for all models together
};

// What goes on devices, of what other models leave there. Where that cannot be had plan.placed says so, and nothing is
// there.
Status SettleDevices(const Settings& settings, Simulations& simulations, const MemoryRoom& room,
                     const DeviceLimit& given, LoadPlan& plan) {
  plan.device_options.clear();
  plan.placed = Status();
  cli::VramLimit limit = given.limit;
  if (room.devices.empty()) {
    plan.placed = cli::DeviceRooms(limit, {}, {}).status();
    return {};
  }
  uint64_t others = 0;
  for (const cli::DeviceMemory& used : room.granted_devices) others += used.total_bytes();
  const bool shared = limit.named() && given.of_all && others > 0;
  if (shared) {
    limit.bytes -= std::min(limit.bytes, others);
    limit.origin += fmt::format(", less {} for other models", FormatSize(others));
  }
  const auto choose = [&](const cli::VramLimit& may) -> Status {
    plan.setup.vram = may;
    const auto arguments = CommandForMemory(settings, plan);
    if (!arguments.ok()) return arguments.status();
    auto options = cli::ChooseDevices(room.devices, settings.known, *arguments, plan.setup,
                                      simulations.Get(settings.engine.engine, plan.entry, *arguments));
    if (!may.named()) {
      if (!options.ok()) return options.status();
    } else if (plan.placed = options.status(); !options.ok()) {
      return {};
    }
    plan.device_options = std::move(*options);
    return {};
  };
  if (limit.named() && limit.bytes == 0) {
    plan.placed = Status(Code::kOutOfBudget, limit.origin);
  } else {
    HEADRACE_RETURN_IF_ERROR(choose(limit));
  }
  if (plan.placed.ok()) return {};
  const cli::DeviceChoice failed = plan.setup.device_choice;
  cli::VramLimit off = limit;
  off.mode = cli::VramLimit::Mode::kOff;
  HEADRACE_RETURN_IF_ERROR(choose(off));
  // Models that were there first have it; this one has memory and disk.
  if (shared && plan.placed.code() == Code::kOutOfBudget) {
    plan.setup.device_choice.reason = fmt::format("nothing of it is on devices: of {} ({}) too little is left",
                                                  FormatSize(given.limit.bytes), limit.origin);
    plan.placed = Status();
    return {};
  }
  plan.setup.vram = limit;
  plan.setup.device_choice.least_bytes = failed.least_bytes;
  plan.setup.device_choice.reason = plan.placed.message();
  return {};
}

// The longest input of an embedding or a reranking that the context, and options after --, leave.
uint64_t LongestInput(const Settings& settings, const LoadPlan& plan) {
  // 0 is as much as the model knows.
  const auto asked = settings.rest.Value(cli::OptionId::kContext);
  const uint64_t context = asked ? std::strtoull(asked->c_str(), nullptr, 10) : plan.context;
  uint64_t tokens = context > 0 ? context : plan.entry.context_length;
  const uint64_t widths[] = {settings.rest.Number(cli::OptionId::kBatch), settings.rest.Number(cli::OptionId::kUbatch)};
  for (const uint64_t width : widths) {
    if (width > 0) tokens = std::min(tokens, width);
  }
  return tokens;
}

// Inputs of embeddings and rerankings are as long as the memory lets a pass be wide, and where weights stream many of
// them share a pass.
Status SettleInputs(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  const uint64_t longest = plan.input_tokens;
  if (longest == 0) return {};
  while (!plan.enough.ok() && plan.input_tokens > kUsualPromptBatch) {
    plan.input_tokens = std::max(plan.input_tokens / 2, kUsualPromptBatch);
    HEADRACE_RETURN_IF_ERROR(Settle(settings, simulations, plan));
  }
  if (!plan.enough.ok()) return {};
  if (plan.input_tokens < longest) {
    plan.notes.push_back(
        fmt::format("an input of embeddings or a reranking may have {} tokens, not all {} of the context: longer ones "
                    "want wider passes, and those more memory",
                    plan.input_tokens, longest));
  }
  const bool asked = plan.asked.slots || settings.rest.Number(cli::OptionId::kSlots) > 0;
  if (!plan.must_stream() || asked || !settings.known.Has("-kvu")) return {};
  const LoadPlan few = plan;
  plan.sharing.slots = kMostSlots;
  const Status settled = Settle(settings, simulations, plan);
  if (!settled.ok() || !plan.enough.ok() || !plan.must_stream()) plan = few;
  return {};
}

// How its requests share passes, where it streams and generates.
void SettleSharing(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  if (!plan.must_stream() || plan.embedding || plan.entry.kind == ModelKind::kReranker) return;
  if (!settings.known.Has("-kvu")) return;
  plan.sharing = LeastSharing(plan.context, plan.asked.slots, settings.rest);
  if (plan.sharing.batch_tokens == 0)
    plan.sharing.batch_tokens = cli::EngineArguments(plan.defaults.options).Number(cli::OptionId::kBatch);
  if (!plan.enough.ok()) {
    // Narrow batches want less memory.
    if (plan.sharing.slots != 1 && plan.sharing.batch_tokens == 0) plan.sharing.batch_tokens = kNarrowestPiece;
    const Status settled = Settle(settings, simulations, plan);
    if (!settled.ok()) plan.enough = settled;
    return;
  }
  const LoadPlan least = plan;
  const auto arguments = CommandForMemory(settings, plan);
  if (!arguments.ok()) return;
  auto& simulation = simulations.Get(settings.engine.engine, plan.entry, *arguments);
  if (!simulation.ok()) return;
  const auto cost = cli::PassCostOf(
      plan.setup, cli::MachineSpeeds(plan.entry.path, plan.setup.config.mirrors, settings.engine_version),
      cli::LoadLearned(LearnedPlaceOf(settings, plan)));
  plan.sharing =
      BestSharing(least.sharing, plan.context, plan.asked.slots, settings.rest, plan.setup, *simulation, cost);
  const Status settled = Settle(settings, simulations, plan);
  // What fits as a whole only with narrow batches is left as it was.
  if (!settled.ok() || !plan.enough.ok() || !plan.must_stream()) plan = least;
  if (least.sharing.batch_tokens == 0) plan.setup.prompt_width = plan.sharing.batch_tokens;
}

// Where a model streams, weights have the rest.
constexpr uint64_t kCheckpointShare = 16;

// Many requests at a time have a KV cache that takes weights' place on devices: at most a quarter of them goes for it.
Status SettleSharedDevices(const Settings& settings, Simulations& simulations, const MemoryRoom& room,
                           const DeviceLimit& limit, LoadPlan& plan) {
  const LoadPlan alone = plan;
  SettleSharing(settings, simulations, plan);
  if (plan.device_options.empty() || plan.sharing.pool_tokens == alone.sharing.pool_tokens) return {};
  Status settled = SettleDevices(settings, simulations, room, limit, plan);
  if (settled.ok()) settled = plan.placed;
  if (settled.ok()) settled = Settle(settings, simulations, plan);
  const uint64_t before = alone.setup.weights.device_bytes;
  if (!settled.ok() || !plan.enough.ok() || plan.setup.weights.device_bytes < before - before / 4) plan = alone;
  return {};
}

// llama-server would keep 32 checkpoints of each slot's recurrent state or sliding window, which may be more than all
// the rest: a prompt that goes back to an earlier place is read from there instead of from its beginning. As many as
// the memory allows.
Status SettleCheckpoints(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  if (plan.embedding || plan.entry.kind == ModelKind::kReranker || !plan.enough.ok() ||
      settings.rest.Value(cli::OptionId::kCheckpoints))
    return {};
  const auto without = CommandForMemory(settings, plan);
  if (!without.ok()) return without.status();
  auto& simulation = simulations.Get(settings.engine.engine, plan.entry, *without);
  const auto state = simulation.ok() ? simulation->StateBytes() : Result<uint64_t>(simulation.status());
  if (!state.ok()) return {};  // then none are kept
  const uint64_t each = *state * simulation->slots(), limit = plan.setup.limits.process_bytes;
  uint64_t room = limit == 0 ? UINT64_MAX : limit - std::min(limit, plan.memory().everything_bytes);
  if (limit > 0 && plan.must_stream())
    room = std::min(limit / kCheckpointShare, limit - std::min(limit, plan.memory().least_bytes));
  plan.checkpoints = each == 0 ? cli::kServerCheckpoints : std::min(cli::kServerCheckpoints, room / each);
  if (plan.checkpoints < cli::kServerCheckpoints) {
    plan.notes.push_back(
        fmt::format("--ctx-checkpoints {} instead of llama-server's own {}: one for each of {} requests at a time "
                    "takes {} of the memory; a prompt "
                    "that goes back further is read anew; the option after -- sets another number",
                    plan.checkpoints, cli::kServerCheckpoints, simulation->slots(), FormatSize(each)));
  }
  if (each == 0 || plan.checkpoints == 0) return {};
  const auto with = CommandForMemory(settings, plan);
  if (!with.ok()) return with.status();
  simulation->SetArguments(*with);
  const Status enough = cli::SettleMemory(simulation, *with, plan.setup);
  if (simulation.ok()) simulation->SetArguments(*without);
  plan.enough = plan.setup.shortage ? Status(enough.code(), ShortageText(*plan.setup.shortage)) : enough;
  return {};
}

// Where the model's own head promises more than what was chosen without it, the plan is one with the head.
void PreferHead(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  LoadPlan with = plan;
  with.uses_head = true;
  with.speculation->options = cli::HeadOptions(0);  // so that its memory counts
  const Status settled = Settle(settings, simulations, with);
  if (settled.ok() && with.enough.ok() && HeadFits(with.setup)) {
    auto chosen = cli::ChooseSpeculation(SpeculationOptionsOf(with), SpeculationInputOf(settings, with));
    if (chosen.ok() && HeadPays(SpeculationOptionsOf(plan), *chosen, *plan.speculation)) {
      with.setup.memory.least_bytes = plan.setup.memory.least_bytes;
      with.setup.memory.everything_bytes = plan.setup.memory.everything_bytes;
      with.speculation = std::move(*chosen);
      plan = std::move(with);
    }
  }
}

Status SettleSpeculation(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  if (plan.embedding || plan.entry.kind == ModelKind::kReranker) return {};
  const cli::SpeculationOptions options = SpeculationOptionsOf(plan);
  cli::SpeculationInput input = SpeculationInputOf(settings, plan);
  const bool may_use_head = plan.enough.ok() && MayUseHead(options, settings.rest, plan.setup, &settings.engine.engine,
                                                           settings.known, input.why_no_head);
  auto chosen = cli::ChooseSpeculation(options, input);
  if (!chosen.ok()) return chosen.status();
  plan.speculation = std::move(*chosen);
  if (may_use_head) PreferHead(settings, simulations, plan);
  LogDebug(fmt::format("{}: {}", plan.entry.id, plan.speculation->line));
  const bool user = plan.speculation->kind == cli::SpeculationKind::kUser;
  plan.drafts = plan.speculation->kind != cli::SpeculationKind::kNone &&
                !(user && settings.rest.Value(cli::OptionId::kSpeculation) == "none");
  return {};
}

// With a budget for weights beyond what they need, streaming takes no more than all of them and its own buffers.
uint64_t GrantedBytes(const cli::ModelSetup& setup) {
  uint64_t weights = setup.memory.weights_budget_bytes;
  if (setup.streams()) {
    const auto plan = setup.Plan();
    if (plan.ok()) weights = std::min(weights, setup.memory.weight_bytes + plan->ring_bytes + plan->scratch_bytes);
  }
  return setup.memory.rest_bytes() + weights;
}

}  // namespace

Result<LoadPlan> PlanLoad(const Settings& settings, ModelLibrary& library, Simulations& simulations,
                          const ModelEntry& entry, const ModelConfig& config, const MemoryRoom& room) {
  if (!entry.error.empty()) return Status(Code::kCorrupt, entry.error);
  if (entry.kind == ModelKind::kProjector) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is a projector; load a model with it: \"projector\": \"{}\"", entry.id, entry.id));
  }
  const auto modelfile = cli::FindModelfile(entry.path, "", !settings.no_modelfile);
  if (!modelfile.ok()) return modelfile.status();
  auto setup =
      cli::PrepareModel(entry.path, OptionsFor(settings, WithFlash(config, modelfile->file), room), room.available);
  if (!setup.ok()) return setup.status();
  auto defaults = DefaultsOf(*modelfile, setup->catalogue, config);
  if (!defaults.ok()) return defaults.status();
  NameOrigins(settings, config, modelfile->file, room, setup->limits);
  if (!modelfile->file.flash_vram.empty()) setup->vram.origin = "FLASH_VRAM_GB of the Modelfile";
  if (config.vram_gb) setup->vram.origin = "vram_gb";
  if (defaults->look_ahead) setup->config.look_ahead = *defaults->look_ahead;
  LoadPlan plan;
  plan.entry = entry;
  plan.asked = config;
  plan.defaults = std::move(*defaults);
  plan.embedding = config.embedding.value_or(entry.kind == ModelKind::kEmbedding);
  plan.context =
      config.context_length.value_or(plan.defaults.context_length.value_or(cli::DefaultContext(entry.context_length)));
  if (plan.embedding || entry.kind == ModelKind::kReranker) plan.input_tokens = LongestInput(settings, plan);
  if (config.draft_model && !config.draft_model->empty()) {
    const auto draft = FindOther(library, *config.draft_model, "draft model", false);
    if (!draft.ok()) return draft.status();
    if (config.speculate != "off") plan.draft_path = draft->path;
    if (config.speculate != "off") plan.stamps = draft->stamps;
  }
  if (!config.projector) {
    plan.projector_path = library.ProjectorBeside(entry);
  } else if (!config.projector->empty()) {
    const auto projector = FindOther(library, *config.projector, "projector", true);
    if (!projector.ok()) return projector.status();
    plan.projector_path = projector->path;
  }
  plan.setup = std::move(*setup);
  plan.workers = room.workers;
  plan.stamps.insert(plan.stamps.end(), entry.stamps.begin(), entry.stamps.end());
  std::vector<std::string> beside = cli::AdapterFiles(cli::EngineArguments(plan.defaults.options));
  for (const auto& paths : {cli::AdapterFiles(settings.rest), std::vector{plan.projector_path}})
    beside.insert(beside.end(), paths.begin(), paths.end());
  for (const std::string& path : beside) {
    if (const auto stamp = StampOf(path)) plan.stamps.push_back(*stamp);
  }
  if (!plan.draft_path.empty()) {
    const auto draft = cli::CheckDraft(plan.setup, plan.draft_path);
    if (!draft.ok()) return draft.status();
    plan.draft_type = draft->type;
  }
  if (std::string unknown = cli::DescribeUnknownTypes(plan.setup.catalogue); !unknown.empty())
    plan.notes.push_back(std::move(unknown));
  const DeviceLimit vram{plan.setup.vram, !config.vram_gb && modelfile->file.flash_vram.empty()};
  HEADRACE_RETURN_IF_ERROR(SettleDevices(settings, simulations, room, vram, plan));
  HEADRACE_RETURN_IF_ERROR(Settle(settings, simulations, plan));
  if (!plan.placed.ok()) {
    plan.enough = Status(plan.placed.code(), plan.placed.message() + RemediesText(VramRemediesJson(plan.setup)));
    return plan;  // nothing of it is started
  }
  HEADRACE_RETURN_IF_ERROR(SettleInputs(settings, simulations, plan));
  HEADRACE_RETURN_IF_ERROR(SettleSharedDevices(settings, simulations, room, vram, plan));
  HEADRACE_RETURN_IF_ERROR(SettleSpeculation(settings, simulations, plan));
  HEADRACE_RETURN_IF_ERROR(SettleCheckpoints(settings, simulations, plan));
  plan.granted_bytes = GrantedBytes(plan.setup);
  plan.crowds = plan.granted_bytes > room.available.bytes ||
                (settings.total_bytes > 0 && plan.granted_bytes + room.granted_bytes > settings.total_bytes);
  plan.config = plan.setup.LibraryConfig();
  // What is available now, less what others were granted; the library would count that again.
  plan.config.process_bytes = plan.setup.limits.process_bytes;
  if (plan.must_stream() && plan.config.disk_bytes_per_s == 0) {
    plan.config.disk_bytes_per_s =
        cli::MachineSpeeds(entry.path, plan.config.mirrors, settings.engine_version).disk_bytes_per_s;
  }
  return plan;
}

cli::LearnedPlace LearnedPlaceOf(const Settings& settings, const LoadPlan& plan) {
  cli::LearnedPlace place = cli::LearnedPlaceOf(plan.setup, plan.draft_path, settings.engine_version);
  place.head = plan.uses_head;
  return place;
}

cli::SpeculationOptions SpeculationOptionsOf(const LoadPlan& plan) {
  return {plan.draft_path, plan.asked.speculate.value_or(""), plan.asked.draft_tokens.value_or(0)};
}

cli::SpeculationInput SpeculationInputOf(const Settings& settings, const LoadPlan& plan) {
  const MachineProfile machine =
      plan.must_stream() ? cli::MachineSpeeds(plan.entry.path, plan.setup.config.mirrors, settings.engine_version)
                         : MachineProfile();
  cli::SpeculationInput input{
      plan.setup, machine,        settings.known, settings.rest, cli::LoadLearned(LearnedPlaceOf(settings, plan)),
      1,          plan.draft_type};
  // As many requests at a time as there were before. While nobody knows, a draft model that was asked for is used as
  // for one; what is proposed unasked must cost nothing however many there are.
  const uint64_t slots = SlotsOf(plan.sharing, plan.asked.slots, settings.rest),
                 unknown = plan.draft_path.empty() ? slots : 1;
  input.sequences = std::min(input.learned.sequences > 0 ? input.learned.sequences : unknown, slots);
  input.most_draft_tokens = cli::MostDraftTokens(settings.rest, plan.defaults.options, slots);
  input.head = plan.uses_head;
  return input;
}

Result<LoneServerSpec> MakeServerSpec(const Settings& settings, const LoadPlan& plan, const std::string& socket_path) {
  auto arguments = ServerCommand(settings, plan, socket_path);
  if (!arguments.ok()) return arguments.status();
  LoneServerSpec spec;
  spec.label = plan.entry.id;
  spec.program = settings.engine.program;
  spec.arguments = arguments->words();
  spec.library = settings.engine.library;
  spec.config = plan.config;
  return spec;
}

}  // namespace headrace::serve
