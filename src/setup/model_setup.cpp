#include "setup/model_setup.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/say.h"
#include "base/size.h"
#include "engine/draft_head.h"
#include "engine/engine_probe.h"
#include "engine/engine_verdict.h"
#include "learned/machine_profile.h"
#include "learned/mirror_speeds.h"
#include "memory/region.h"
#include "report/progress_line.h"
#include "setup/device_choice.h"
#include "setup/device_weights.h"
#include "setup/model_cost.h"

namespace headrace::cli {

Result<ModelSetup> PrepareModel(const std::string& path, const FlashOptions& options) {
  return PrepareModel(path, options, FindAvailableMemory(ReadTextFile, ReadAddressLimits()));
}

Result<ModelSetup> PrepareModel(const std::string& path, const FlashOptions& options,
                                const AvailableMemory& available) {
  auto resolved = ResolveConfig(
      options, [](const char* name) { return std::getenv(name); }, available);
  if (!resolved.ok()) return resolved.status();
  auto catalogue = ReadCatalogue(path);
  if (!catalogue.ok()) return catalogue.status();
  ModelSetup setup;
  setup.path = path;
  setup.catalogue = std::move(*catalogue);
  setup.weights = SelectWeights(setup.catalogue);
  setup.config = resolved->config;
  setup.limits = resolved->limits;
  setup.vram = resolved->vram;
  return setup;
}

Config ModelSetup::LibraryConfig() const {
  Config library = config;
  if (library.flash_mode == FlashMode::kAuto) library.flash_mode = memory.streams ? FlashMode::kOn : FlashMode::kOff;
  library.rest_bytes = memory.rest_bytes();
  return library;
}

Result<ResidencyPlan> ModelSetup::Plan() const {
  if (!streams()) {
    ResidencyPlan all;
    all.resident_bytes = weights.managed_bytes;
    all.expert_cache_bytes = weights.expert_bytes;
    return all;
  }
  const uint64_t drives = 1 + config.mirrors.size();
  const uint64_t buffers = drives * DriveBufferBytes(memory.weights_budget_bytes, drives);
  const uint64_t budget = memory.weights_budget_bytes - std::min(memory.weights_budget_bytes, buffers);
  const uint64_t draft = memory.engine ? memory.engine->draft_weight_bytes : 0;
  const uint64_t target = budget - std::min(draft, budget - std::min(budget, weights.floor_bytes()));
  return PlanResidency(weights.extents, target - std::min(target, weights.row_bytes(target)), weights.column_bytes(),
                       drives);
}

Status SettleMemory(const Engine* engine, const EngineArguments& arguments, ModelSetup& model) {
  std::optional<Result<EngineSimulation>> simulation;
  return SettleMemory(engine, arguments, model, simulation);
}

Status SettleMemory(const Engine* engine, const EngineArguments& arguments, ModelSetup& model,
                    std::optional<Result<EngineSimulation>>& simulation) {
  ProgressLine progress;
  progress.Show("asking the engine what it will allocate");
  if (simulation && simulation->ok()) {
    (*simulation)->SetArguments(arguments);
  } else {
    simulation = engine == nullptr ? Status(Code::kNotFound, "no engine was found")
                                   : EngineSimulation::Prepare(*engine, arguments);
  }
  const Status enough = SettleMemory(*simulation, arguments, model);
  progress.Show("");
  if (!simulation->ok()) {
    Say("headrace cannot predict what the engine will allocate, and only measures it: " +
        simulation->status().message());
  }
  return enough;
}

namespace {

// What devices take of the machine's memory.
void CountSharedDevices(const std::vector<Device>& devices, EngineMemory& memory) {
  for (const DeviceMemory& used : memory.devices) {
    const auto device = std::find_if(devices.begin(), devices.end(),
                                     [&](const Device& candidate) { return candidate.name == used.name; });
    if (device != devices.end() && device->shares_memory) memory.shared_device_bytes += used.total_bytes();
  }
}

}  // namespace

void SelectWeightsBy(const EngineArguments& arguments, ModelSetup& model) {
  const bool head = DraftsWithHead(arguments);
  if (model.devices.empty() && head == model.weights.uses_head) return;
  const uint64_t batch_tokens = model.weights.batch_tokens;
  // Where the engine decides by itself nobody knows it beforehand: memory is planned for all of it.
  const bool placed = !model.devices.empty() && !LetsEnginePlace(arguments);
  const OnDeviceTest nothing = [](const TensorEntry&) { return false; };
  model.weights = SelectWeights(model.catalogue, placed ? OnDeviceBy(arguments, model.catalogue) : nothing, head);
  model.weights.batch_tokens = batch_tokens;
}

Status SettleMemory(Result<EngineSimulation>& simulation, const EngineArguments& arguments, ModelSetup& model) {
  HEADRACE_RETURN_IF_ERROR(CheckPromptCache(arguments, model.limits));
  if (const auto batch = arguments.Value(OptionId::kUbatch)) {
    if (const uint64_t tokens = std::strtoull(batch->c_str(), nullptr, 10); tokens > 0)
      model.weights.batch_tokens = tokens;
  }
  SelectWeightsBy(arguments, model);
  std::optional<EngineMemory> foretold;
  TryArguments try_arguments;
  uint64_t context = 0;
  Status kv_fits;
  if (simulation.ok()) {
    const auto memory = simulation->Run();
    if (memory.ok()) {
      foretold = *memory;
      if (LetsEnginePlace(arguments)) foretold->devices.clear();
      CountSharedDevices(model.devices, *foretold);
      kv_fits = PutContextInFile(model.limits, model.catalogue.layers, *foretold);
    } else {
      simulation = memory.status();
    }
  }
  if (simulation.ok()) {
    context = simulation->context_tokens() > 0 ? simulation->context_tokens() : model.catalogue.context_length;
    try_arguments = [&](const EngineArguments& more) -> std::optional<EngineMemory> {
      auto memory = simulation->Run(more);
      if (!memory.ok() || !PutContextInFile(model.limits, model.catalogue.layers, *memory).ok()) return std::nullopt;
      CountSharedDevices(model.devices, *memory);
      return *memory;
    };
  }
  model.memory = DivideMemory(model.limits, model.weights, model.catalogue.weight_bytes(), foretold);
  if (!kv_fits.ok()) return kv_fits;
  model.shortage = FindShortage(model.memory, model.limits, model.weights, context, try_arguments);
  if (model.shortage) return Status(Code::kOutOfBudget, DescribeShortage(*model.shortage));
  if (!model.config.lock || !model.streams()) return {};
  const Status locked = Region::MayLock(model.memory.weights_budget_bytes);
  return locked.ok() ? locked : Status(locked.code(), "--lock: " + locked.message());
}

Status CheckPromptCache(const EngineArguments& arguments, const MemoryLimits& limits) {
  const auto cache = arguments.Value(OptionId::kPromptCache);
  if (!cache || !cache->starts_with('-') || limits.process_bytes == 0) return {};
  return Status(
      Code::kInvalidArgument,
      fmt::format("--cache-ram {} lets the prompt cache grow without end; write how many MiB it may have", *cache));
}

Result<EngineSetup> PrepareEngine(const std::string& engine_option, std::initializer_list<const char*> programs,
                                  const Config& config) {
  EngineSetup setup;
  setup.paths = SystemSearchPaths(engine_option);
  auto engine = LocateEngine(setup.paths);
  if (!engine.ok()) return engine.status();
  setup.engine = std::move(*engine);
  // Only the engine's own folder: a program of another llama.cpp on PATH has other options.
  SearchPaths own;
  Status missing;
  for (const char* name : programs) {
    auto program = LocateProgram(name, &setup.engine, own);
    if (program.ok()) {
      setup.program = std::move(*program);
      break;
    }
    if (missing.ok()) {
      missing =
          Status(Code::kNotFound, fmt::format("the llama.cpp in {} has no {}; run `headrace engine install` or name "
                                              "another with --engine DIR",
                                              setup.engine.bin_dir, name));
    }
  }
  if (setup.program.empty()) return missing;
  if (config.wants_library()) {
    auto library = LocateLibrary(setup.paths);
    if (!library.ok()) return library.status();
    setup.library = std::move(*library);
    if (const auto verdict = LoadVerdict(setup.engine, setup.library); verdict && !verdict->same) {
      SayError(fmt::format(
          "warning: the llama.cpp in {} gave different results with streamed weights in `headrace engine check` ({})",
          setup.engine.bin_dir, DescribeVerdict(verdict)));
    }
  }
  return setup;
}

void AddDiskSpeed(const std::string& model_path, const Engine& engine, Config& config) {
  if (config.disk_bytes_per_s > 0) return;
  ProgressLine progress;
  progress.Show("measuring the disk");
  const auto profile = MachineProfileFor(model_path, QueryVersion(engine));
  progress.Show("");
  if (profile.ok()) {
    std::vector<MirrorProblem> problems;  // the library says the same
    config.disk_bytes_per_s = SpeedTogether(
        SpeedsOfDrives(model_path, profile->disk_bytes_per_s, config.mirrors, QueryVersion(engine), problems));
  } else if (config.debug) {
    Say("disk speed unknown: " + profile.status().message());
  }
}

std::string DescribeUnknownTypes(const Catalogue& catalogue) {
  const auto count = std::count_if(catalogue.tensors.begin(), catalogue.tensors.end(),
                                   [](const TensorEntry& tensor) { return !tensor.type_known(); });
  if (count == 0) return "";
  return fmt::format(
      "{} of {} tensors have types that this headrace does not know ({}): headrace counts all bytes up to the next "
      "tensor, which may be a few too many",
      count, catalogue.tensors.size(), fmt::join(catalogue.unknown_types(), ", "));
}

void SayDecision(const ModelSetup& model) {
  Say(DescribeDecision(model.memory, model.limits));
  if (const std::string devices = DescribeDevices(model); !devices.empty()) Say(devices);
  if (const std::string width = DescribePromptWidth(model, model.prompt_width); !width.empty()) Say(width);
  if (const std::string unknown = DescribeUnknownTypes(model.catalogue); !unknown.empty()) Say(unknown);
}

void DebugEngine(const EngineSetup& engine, const EngineArguments& arguments, const Config& config) {
  if (!config.debug) return;
  Say(fmt::format("engine from {}, library {}, disk {:.2f} GB/s", engine.engine.origin,
                  engine.library.empty() ? "not loaded" : engine.library, config.disk_bytes_per_s / 1e9));
  Say(fmt::format("{} {}", engine.program, fmt::join(arguments.words(), " ")));
}

}  // namespace headrace::cli
