#include "setup/device_choice.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/say.h"
#include "base/size.h"
#include "report/progress_line.h"
#include "setup/device_weights.h"
#include "setup/placement_search.h"

namespace headrace::cli {
namespace {

std::string NamesOf(const std::vector<Device>& devices) {
  std::vector<std::string> names;
  for (const Device& device : devices) names.push_back(fmt::format("{} ({})", device.name, device.description));
  return fmt::format("{}", fmt::join(names, ", "));
}

bool IsRemote(const Device& device) { return device.remote; }

std::string DescribeRoom(const VramLimit& limit, const std::vector<Device>& devices, uint64_t room_bytes) {
  if (std::all_of(devices.begin(), devices.end(), IsRemote))
    return fmt::format("{} that {} offer{}", FormatSize(room_bytes), devices.size() == 1 ? "the worker" : "workers",
                       devices.size() == 1 ? "s" : "");
  return limit.mode == VramLimit::Mode::kSize
             ? fmt::format("{} ({})", FormatSize(room_bytes), limit.origin)
             : fmt::format("{} that are free there, less {} of each ({})", FormatSize(room_bytes),
                           FormatSize(kDeviceMargin * kMiB), limit.origin);
}

std::string DescribePlacement(const Placement& placement, uint64_t layers) {
  const bool all = placement.device_layers > layers;
  std::string text = all ? "all layers"
                     : placement.device_layers == 1
                         ? "what comes after the last layer"
                         : fmt::format("the last {} of {} layers", placement.device_layers - 1, layers);
  if (!all && placement.host_experts >= layers) return text + " without experts";
  if (placement.host_experts > 0)
    text += placement.host_experts >= layers
                ? " but for experts"
                : fmt::format(" but for the experts of the first {}", placement.host_experts);
  if (placement.host_ffn > 0) {
    text += placement.host_ffn >= layers
                ? " but for feed-forward weights"
                : fmt::format(" but for the feed-forward weights of the first {}", placement.host_ffn);
  }
  return text;
}

// Weights of a projector, which the engine puts on a device, too.
uint64_t ProjectorBytes(const EngineArguments& arguments) {
  const auto path = arguments.Value(OptionId::kProjector);
  if (!path || arguments.Has(OptionId::kNoProjectorOffload)) return 0;
  std::error_code error;
  const auto bytes = std::filesystem::file_size(*path, error);
  return error ? 0 : bytes;
}

// What else is there, divided as the rooms are.
void TakeFromRooms(uint64_t bytes, std::vector<uint64_t>& rooms) {
  const uint64_t all = Sum(rooms);
  if (all == 0 || bytes == 0) return;
  const double left = 1 - static_cast<double>(std::min(bytes, all)) / static_cast<double>(all);
  for (uint64_t& room : rooms) room = static_cast<uint64_t>(static_cast<double>(room) * left);
}

// Devices without room are not used.
void KeepUsed(ModelSetup& model) {
  std::vector<uint64_t>& rooms = model.device_choice.room_bytes;
  for (size_t i = rooms.size(); i-- > 0;) {
    if (rooms[i] > 0) continue;
    rooms.erase(rooms.begin() + static_cast<ptrdiff_t>(i));
    model.devices.erase(model.devices.begin() + static_cast<ptrdiff_t>(i));
  }
}

// Nothing on devices, in the engine's words.
std::vector<EngineOption> NoDevices(const OptionNames& known, const EngineArguments& arguments) {
  if (PlacesWeights(arguments) || !Knows(known, OptionId::kDevices)) return {};
  return {WithValue(OptionId::kDevices, "none")};
}

Status Explain(const Status& status, const ModelSetup& model) {
  return Status(
      status.code(),
      fmt::format(
          "{} {} is too little: {}; give more, smaller batches (-- -ub 256) or a shorter context (-c), or {} off",
          model.vram.origin, FormatSize(model.vram.bytes), status.message(), model.vram.origin));
}

// Without any device.
bool FitsHere(const ModelSetup& model, Result<EngineSimulation>& simulation) {
  const auto memory = simulation->Run({"-ngl", "0"});
  if (!memory.ok()) return false;
  ModelSetup alone = model;
  SelectWeightsBy({"-ngl", "0"}, alone);
  return !DivideMemory(alone.limits, alone.weights, alone.catalogue.weight_bytes(), *memory).streams;
}

// Fills in model.devices and model.device_choice.
Result<std::vector<EngineOption>> Choose(const std::vector<Device>& devices, const OptionNames& known,
                                         const EngineArguments& arguments, ModelSetup& model,
                                         Result<EngineSimulation>& simulation) {
  model.devices.clear();
  std::copy_if(devices.begin(), devices.end(), std::back_inserter(model.devices),
               [&](const Device& device) { return MayUse(arguments, device.name); });
  DeviceChoice& choice = model.device_choice;
  choice = {};
  for (const Device& device : model.devices) choice.free_bytes += device.free_bytes;
  auto rooms = DeviceRooms(model.vram, model.devices, arguments);
  if (!rooms.ok()) return rooms.status();
  if (devices.empty()) return std::vector<EngineOption>();
  choice.room_bytes = std::move(*rooms);
  TakeFromRooms(arguments.Number(OptionId::kExpertCache) * kMiB + ProjectorBytes(arguments), choice.room_bytes);
  if (PlacesWeights(arguments)) {
    if (model.vram.named())
      choice.reason = fmt::format("{} is ignored: other options already say what goes on devices", model.vram.origin);
    if (LetsEnginePlace(arguments))
      choice.reason =
          "with --fit on the engine decides what goes on devices: headrace cannot predict it, and plans memory for all "
          "weights";
    if (arguments.Value(OptionId::kDevices) == "none") model.devices.clear();
    return std::vector<EngineOption>();
  }
  const auto none = [&](std::string reason) {
    choice.reason = std::move(reason);
    model.devices.clear();
    return NoDevices(known, arguments);
  };
  const bool workers = std::any_of(model.devices.begin(), model.devices.end(), IsRemote);
  const bool own = !std::all_of(model.devices.begin(), model.devices.end(), IsRemote);
  if (model.vram.mode == VramLimit::Mode::kOff && !workers) return none("");
  // Memory here is nearer than memory there.
  if (workers && !own && simulation.ok() && FitsHere(model, simulation))
    return none("the workers are not used: the model fits into memory here");
  if (Sum(choice.room_bytes) == 0) {
    const bool shared = std::all_of(model.devices.begin(), model.devices.end(),
                                    [](const Device& device) { return device.shares_memory; });
    return none(shared ? fmt::format("{} uses the machine's memory and is ignored; --vram SIZE uses it anyway",
                                     NamesOf(model.devices))
                       : fmt::format("{} has less than {} free and is ignored", NamesOf(model.devices),
                                     FormatSize(kDeviceMargin * kMiB)));
  }
  // Only what may be used.
  if (std::any_of(choice.room_bytes.begin(), choice.room_bytes.end(), [](uint64_t room) { return room == 0; }))
    KeepUsed(model);
  if (!simulation.ok() || model.catalogue.layers == 0) {
    if (model.vram.named())
      return simulation.ok()
                 ? Status(Code::kUnsupported, "the model's header does not say how many layers it has: give -- -ngl N")
                 : simulation.status();
    return none(fmt::format(
        "{}: headrace does not know how much of the model fits there, and puts nothing there; -- -ngl N does",
        NamesOf(model.devices)));
  }
  PlacementSearch search(known, model, simulation);
  const auto chosen = search.Find(arguments);
  choice.least_bytes = search.least_bytes();
  if (!chosen.ok()) {
    if (model.vram.named())
      return chosen.status().code() == Code::kOutOfBudget ? Explain(chosen.status(), model) : chosen.status();
    return none(fmt::format("{} is ignored: {}", NamesOf(model.devices), chosen.status().message()));
  }
  const auto share = Knows(known, OptionId::kExpertCache) && !arguments.Value(OptionId::kExpertCache)
                         ? search.WithExpertCache(chosen->placement)
                         : std::nullopt;
  choice.placement = share ? share->placement : chosen->placement;
  choice.expert_cache_bytes = share ? AlignDown(share->cache_bytes, kMiB) : 0;
  choice.batch_tokens = chosen->batch_tokens;
  std::vector<EngineOption> options = PlacementOptions(*choice.placement);
  if (choice.expert_cache_bytes > 0)
    options.push_back(WithValue(OptionId::kExpertCache, std::to_string(choice.expert_cache_bytes / kMiB)));
  if (choice.batch_tokens > 0) {
    options.push_back(WithValue(OptionId::kBatch, std::to_string(choice.batch_tokens)));
    options.push_back(WithValue(OptionId::kUbatch, std::to_string(choice.batch_tokens)));
  }
  // A draft's weights stay in memory, as they count.
  if (arguments.Value(OptionId::kDraftModel) && Knows(known, OptionId::kDraftLayers))
    options.push_back(WithValue(OptionId::kDraftLayers, "0"));
  if (devices.size() > model.devices.size() && !arguments.Value(OptionId::kDevices)) {
    std::vector<std::string> names;
    for (const Device& device : model.devices) names.push_back(device.name);
    options.push_back(WithValue(OptionId::kDevices, fmt::format("{}", fmt::join(names, ","))));
  }
  return options;
}

}  // namespace

Result<std::vector<EngineOption>> ChooseDevices(const std::vector<Device>& devices, const OptionNames& known,
                                                const EngineArguments& arguments, ModelSetup& model,
                                                Result<EngineSimulation>& simulation) {
  auto options = Choose(devices, known, arguments, model, simulation);
  if (!options.ok()) return options;
  SelectWeightsBy(Joined(arguments, EngineArguments(*options)), model);
  return options;
}

Result<std::vector<EngineOption>> ChooseDevices(const Engine* engine, const OptionNames& known,
                                                const EngineArguments& arguments, ModelSetup& model,
                                                std::optional<Result<EngineSimulation>>& simulation) {
  std::vector<Device> devices;
  if (engine != nullptr && MayHaveDevices(*engine, arguments)) {
    if (model.vram.mode == VramLimit::Mode::kOff && !arguments.Has(OptionId::kRemote))
      return NoDevices(known, arguments);
    ProgressLine progress;
    if (!model.asked_devices) progress.Show("asking the engine for devices");
    devices = model.asked_devices ? *model.asked_devices : QueryDevices(*engine, arguments);
    progress.Show("");
  }
  if (devices.empty()) {
    const auto rooms = DeviceRooms(model.vram, devices, arguments);
    return rooms.ok() ? Result<std::vector<EngineOption>>(std::vector<EngineOption>()) : rooms.status();
  }
  ProgressLine progress;
  progress.Show("asking the engine what fits on devices");
  if (!simulation || !simulation->ok()) simulation = EngineSimulation::Prepare(*engine, arguments);
  if (simulation->ok()) (*simulation)->SetArguments(arguments);
  auto options = ChooseDevices(devices, known, arguments, model, *simulation);
  progress.Show("");
  return options;
}

std::string DeviceTitle(const std::vector<Device>& devices, const std::string& name) {
  for (const Device& device : devices) {
    if (device.remote && device.name == name) return fmt::format("{} ({})", name, device.description);
  }
  return name;
}

std::string DescribeDevices(const ModelSetup& model) {
  const DeviceChoice& choice = model.device_choice;
  if (!model.memory.engine || model.memory.engine->devices.empty()) return choice.reason;
  std::string text;
  for (const DeviceMemory& used : model.memory.engine->devices) {
    // The engine's simulation counts its cache of experts with the context.
    text += fmt::format("{}{} has {} of weights, {} {}, buffers {}", text.empty() ? "" : "; ",
                        DeviceTitle(model.devices, used.name), FormatSize(used.weight_bytes),
                        choice.expert_cache_bytes > 0 ? "KV cache and experts in use" : "KV cache",
                        FormatSize(used.context_bytes), FormatSize(used.compute_bytes));
  }
  if (choice.placement) {
    text += fmt::format(": {}, within {}", DescribePlacement(*choice.placement, model.catalogue.layers),
                        DescribeRoom(model.vram, model.devices, Sum(choice.room_bytes)));
    if (choice.expert_cache_bytes > 0)
      text += fmt::format("; the engine keeps experts in use there, at most {}", FormatSize(choice.expert_cache_bytes));
    if (choice.batch_tokens > 0) text += fmt::format("; prompts go there {} tokens at a time", choice.batch_tokens);
  } else {
    text += ", as the engine's options say";
  }
  return choice.reason.empty() ? text : text + "; " + choice.reason;
}

}  // namespace headrace::cli
