#include "setup/device_choice.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/say.h"
#include "base/size.h"
#include "report/progress_line.h"
#include "setup/device_weights.h"

namespace headrace::cli {
namespace {

// Tokens of a prompt's pass where devices compute it and weights stream: the disk is read once for all of them. 135 and
// 254 tokens/s were measured with 2048 and 4096 (a mixture of 20 GiB, nothing of it in memory). The widest is taken
// where what it needs is little of the devices' memory.
constexpr uint64_t kWidest = 4096;
constexpr uint64_t kWide = 2048;
constexpr uint64_t kWidestPart = 16;
constexpr uint64_t kWidePart = 8;

// Times that a placement is made smaller until the engine's own sizes fit.
constexpr int kMostTries = 8;

uint64_t Sum(const std::vector<uint64_t>& bytes) { return std::accumulate(bytes.begin(), bytes.end(), uint64_t{0}); }

bool Knows(const OptionNames& known, OptionId option) {
  const auto& names = SpellingsOf(option);
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return known.Has(name); });
}

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

std::vector<EngineOption> PlacementOptions(const Placement& placement) {
  std::vector<EngineOption> options = {WithValue(OptionId::kLayers, std::to_string(placement.device_layers))};
  if (placement.host_experts > 0)
    options.push_back(WithValue(OptionId::kHostExperts, std::to_string(placement.host_experts)));
  if (placement.host_ffn > 0) options.push_back(WithValue(OptionId::kHostFfn, std::to_string(placement.host_ffn)));
  return options;
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

// Finds what fits, with the engine's own sizes.
class Chooser {
 public:
  Chooser(const OptionNames& known, const ModelSetup& model, Result<EngineSimulation>& simulation)
      : devices_(model.devices),
        rooms_(model.device_choice.room_bytes),
        layers_(model.catalogue.layers),
        simulation_(simulation),
        sizes_(PlacementModelOf(model.catalogue)) {
    sizes_.moves_experts = Knows(known, OptionId::kHostExperts);
    sizes_.moves_ffn = Knows(known, OptionId::kHostFfn);
  }

  // What is there beside weights and context, with passes of so many tokens; 0: as many as the arguments say.
  Result<uint64_t> Buffers(uint64_t batch_tokens) {
    Placement least;
    least.device_layers = layers_ + 1;
    if (sizes_.moves_experts) least.host_experts = layers_;
    if (sizes_.moves_ffn) least.host_ffn = layers_;
    const auto told = Simulate(least, batch_tokens);
    if (!told.ok()) return told.status();
    uint64_t buffers = 0;
    sizes_.context_bytes = 0;
    for (const DeviceMemory& used : told->devices) {
      buffers += used.compute_bytes;
      sizes_.context_bytes += used.context_bytes;
    }
    if (batch_tokens == 0) least_bytes_ = LeastDeviceBytes(sizes_) + buffers;
    return buffers;
  }

  // By our own arithmetic.
  std::optional<Placement> Choose(uint64_t buffers) const {
    return ChoosePlacement(sizes_, Sum(rooms_) - std::min(Sum(rooms_), buffers));
  }
  uint64_t WeightBytes(const Placement& placement) const { return BytesOf(sizes_, placement).weights; }

  // By the engine's: no device has more than its room. kOutOfBudget with what is needed at least.
  Result<Placement> Check(Placement placement, uint64_t batch_tokens, uint64_t buffers) {
    for (int i = 0; i < kMostTries; ++i) {
      const auto told = Simulate(placement, batch_tokens);
      if (!told.ok()) return told.status();
      const uint64_t over = Over(told->devices);
      if (over == 0) return placement;
      // Where layers are divided it needs more.
      buffers = std::max(buffers, std::accumulate(told->devices.begin(), told->devices.end(), uint64_t{0},
                                                  [](uint64_t sum, const DeviceMemory& used) {
                                                    return sum + used.compute_bytes + used.context_bytes;
                                                  }));
      const uint64_t bytes = BytesOf(sizes_, placement).total();
      const auto smaller = ChoosePlacement(sizes_, bytes - std::min(bytes, over));
      if (!smaller) break;
      placement = *smaller;
    }
    return TooLittle(buffers);
  }

  Status TooLittle(uint64_t buffers) {
    const uint64_t output = LeastDeviceBytes(sizes_);
    least_bytes_ = output + buffers;
    return Status(
        Code::kOutOfBudget,
        fmt::format("what comes after the last layer ({}) and what is computed with ({}) need at least {} there",
                    FormatSize(output), FormatSize(buffers), FormatSize(output + buffers)));
  }

  // 0: not known yet.
  uint64_t least_bytes() const { return least_bytes_; }

  // A cache of experts in use decodes faster than whole layers: 32 and 20 tokens/s on an H100, a mixture of 20.7 GiB, 7
  // GiB there (docs/device-benchmarks.md).
  std::optional<ExpertCacheShare> WithExpertCache(const Placement& placement, const Catalogue& catalogue) const {
    if (catalogue.experts == 0) return std::nullopt;
    const auto share = ShareWithExpertCache(
        sizes_, placement, static_cast<double>(catalogue.experts_used) / static_cast<double>(catalogue.experts));
    return share && share->cache_bytes >= kMiB ? share : std::nullopt;
  }

  bool IsAll(const Placement& placement) const {
    return placement.device_layers > layers_ && placement.host_experts == 0 && placement.host_ffn == 0;
  }

 private:
  Result<EngineMemory> Simulate(const Placement& placement, uint64_t batch_tokens) {
    EngineArguments more(PlacementOptions(placement));
    if (batch_tokens > 0) {
      const std::string tokens = std::to_string(batch_tokens);
      more.Append(OptionId::kBatch, tokens);
      more.Append(OptionId::kUbatch, tokens);
    }
    return simulation_->Run(more);
  }

  // Of all devices, beyond their rooms.
  uint64_t Over(const std::vector<DeviceMemory>& used) const {
    uint64_t over = 0;
    for (const DeviceMemory& device : used) {
      uint64_t room = 0;
      for (size_t i = 0; i < devices_.size(); ++i) {
        if (devices_[i].name == device.name) room = rooms_[i];
      }
      over += device.total_bytes() - std::min(device.total_bytes(), room);
    }
    return over;
  }

  const std::vector<Device>& devices_;
  const std::vector<uint64_t>& rooms_;
  const uint64_t layers_;
  Result<EngineSimulation>& simulation_;
  PlacementModel sizes_;
  uint64_t least_bytes_ = 0;
};

// Nothing on devices, in the engine's words.
std::vector<EngineOption> NoDevices(const OptionNames& known, const EngineArguments& arguments) {
  if (PlacesWeights(arguments) || !Knows(known, OptionId::kDevices)) return {};
  return {WithValue(OptionId::kDevices, "none")};
}

struct Choice {
  Placement placement;
  uint64_t batch_tokens = 0;
};

// Where not everything fits, passes of prompts are wide as far as context, memory and devices bear it.
Result<Choice> ChooseAll(const EngineArguments& arguments, const ModelSetup& model, Chooser& chooser) {
  auto buffers = chooser.Buffers(0);
  if (!buffers.ok()) return buffers.status();
  const auto usual = chooser.Choose(*buffers);
  if (!usual) return chooser.TooLittle(*buffers);
  Choice choice{*usual, 0};
  const uint64_t context = arguments.Number(OptionId::kContext);
  if (!chooser.IsAll(*usual) && !arguments.Value(OptionId::kBatch) && !arguments.Value(OptionId::kUbatch)) {
    for (const auto& [tokens, part] : {std::pair{kWidest, kWidestPart}, std::pair{kWide, kWidePart}}) {
      if (context > 0 && context < tokens) continue;
      const uint64_t limit = model.limits.process_bytes > 0 ? model.limits.process_bytes : model.limits.weights_bytes;
      if (model.weights.token_column_bytes * tokens > limit / part) continue;
      const auto wider = chooser.Buffers(tokens);
      const auto placement = wider.ok() ? chooser.Choose(*wider) : std::nullopt;
      if (!placement ||
          chooser.WeightBytes(*usual) > chooser.WeightBytes(*placement) + Sum(model.device_choice.room_bytes) / part)
        continue;
      choice = {*placement, tokens};
      buffers = wider;
      break;
    }
  }
  const auto checked = chooser.Check(choice.placement, choice.batch_tokens, *buffers);
  if (!checked.ok()) return checked.status();
  choice.placement = *checked;
  return choice;
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
  Chooser chooser(known, model, simulation);
  auto chosen = ChooseAll(arguments, model, chooser);
  choice.least_bytes = chooser.least_bytes();
  if (!chosen.ok()) {
    if (model.vram.named())
      return chosen.status().code() == Code::kOutOfBudget ? Explain(chosen.status(), model) : chosen.status();
    return none(fmt::format("{} is ignored: {}", NamesOf(model.devices), chosen.status().message()));
  }
  const auto share = Knows(known, OptionId::kExpertCache) && !arguments.Value(OptionId::kExpertCache)
                         ? chooser.WithExpertCache(chosen->placement, model.catalogue)
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
