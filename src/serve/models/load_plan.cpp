#include "serve/models/load_plan.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/file_arguments.h"
#include "learned/mirror_speeds.h"
#include "serve/models/load_devices.h"
#include "serve/models/load_memory.h"
#include "serve/models/load_sharing.h"
#include "serve/models/load_speculation.h"
#include "serve/models/remedies.h"
#include "setup/draft_check.h"
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
  HEADRACE_RETURN_IF_ERROR(SettleMemory(settings, simulations, plan));
  if (!plan.placed.ok()) {
    plan.enough = Status(plan.placed.code(), plan.placed.message() + RemediesText(VramRemediesJson(plan.setup)));
    return plan;  // nothing of it is started
  }
  HEADRACE_RETURN_IF_ERROR(SettleInputs(settings, simulations, plan));
  HEADRACE_RETURN_IF_ERROR(SettleSharing(settings, simulations, room, vram, plan));
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

}  // namespace headrace::serve
