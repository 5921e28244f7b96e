#include "setup/placement_search.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/size.h"
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

}  // namespace

uint64_t Sum(const std::vector<uint64_t>& bytes) { return std::accumulate(bytes.begin(), bytes.end(), uint64_t{0}); }

bool Knows(const OptionNames& known, OptionId option) {
  const auto& names = SpellingsOf(option);
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return known.Has(name); });
}

std::vector<EngineOption> PlacementOptions(const Placement& placement) {
  std::vector<EngineOption> options = {WithValue(OptionId::kLayers, std::to_string(placement.device_layers))};
  if (placement.host_experts > 0)
    options.push_back(WithValue(OptionId::kHostExperts, std::to_string(placement.host_experts)));
  if (placement.host_ffn > 0) options.push_back(WithValue(OptionId::kHostFfn, std::to_string(placement.host_ffn)));
  return options;
}

PlacementSearch::PlacementSearch(const OptionNames& known, const ModelSetup& model,
                                 Result<EngineSimulation>& simulation)
    : model_(model),
      devices_(model.devices),
      rooms_(model.device_choice.room_bytes),
      layers_(model.catalogue.layers),
      simulation_(simulation),
      sizes_(PlacementModelOf(model.catalogue)) {
  sizes_.moves_experts = Knows(known, OptionId::kHostExperts);
  sizes_.moves_ffn = Knows(known, OptionId::kHostFfn);
}

Result<FoundPlacement> PlacementSearch::Find(const EngineArguments& arguments) {
  auto buffers = Buffers(0);
  if (!buffers.ok()) return buffers.status();
  const auto usual = Choose(*buffers);
  if (!usual) return TooLittle(*buffers);
  FoundPlacement found{*usual, 0};
  const uint64_t context = arguments.Number(OptionId::kContext);
  if (!IsAll(*usual) && !arguments.Value(OptionId::kBatch) && !arguments.Value(OptionId::kUbatch)) {
    for (const auto& [tokens, part] : {std::pair{kWidest, kWidestPart}, std::pair{kWide, kWidePart}}) {
      if (context > 0 && context < tokens) continue;
      const uint64_t limit =
          model_.limits.process_bytes > 0 ? model_.limits.process_bytes : model_.limits.weights_bytes;
      if (model_.weights.token_column_bytes * tokens > limit / part) continue;
      const auto wider = Buffers(tokens);
      const auto placement = wider.ok() ? Choose(*wider) : std::nullopt;
      if (!placement || BytesOf(sizes_, *usual).weights > BytesOf(sizes_, *placement).weights + Sum(rooms_) / part)
        continue;
      found = {*placement, tokens};
      buffers = wider;
      break;
    }
  }
  const auto checked = Check(found.placement, found.batch_tokens, *buffers);
  if (!checked.ok()) return checked.status();
  found.placement = *checked;
  return found;
}

Result<uint64_t> PlacementSearch::Buffers(uint64_t batch_tokens) {
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

std::optional<Placement> PlacementSearch::Choose(uint64_t buffers) const {
  return ChoosePlacement(sizes_, Sum(rooms_) - std::min(Sum(rooms_), buffers));
}

Result<Placement> PlacementSearch::Check(Placement placement, uint64_t batch_tokens, uint64_t buffers) {
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

Status PlacementSearch::TooLittle(uint64_t buffers) {
  const uint64_t output = LeastDeviceBytes(sizes_);
  least_bytes_ = output + buffers;
  return Status(
      Code::kOutOfBudget,
      fmt::format("what comes after the last layer ({}) and what is computed with ({}) need at least {} there",
                  FormatSize(output), FormatSize(buffers), FormatSize(output + buffers)));
}

std::optional<ExpertCacheShare> PlacementSearch::WithExpertCache(const Placement& placement) const {
  const Catalogue& catalogue = model_.catalogue;
  if (catalogue.experts == 0) return std::nullopt;
  const auto share = ShareWithExpertCache(
      sizes_, placement, static_cast<double>(catalogue.experts_used) / static_cast<double>(catalogue.experts));
  return share && share->cache_bytes >= kMiB ? share : std::nullopt;
}

Result<EngineMemory> PlacementSearch::Simulate(const Placement& placement, uint64_t batch_tokens) {
  EngineArguments more(PlacementOptions(placement));
  if (batch_tokens > 0) {
    const std::string tokens = std::to_string(batch_tokens);
    more.Append(OptionId::kBatch, tokens);
    more.Append(OptionId::kUbatch, tokens);
  }
  return simulation_->Run(more);
}

uint64_t PlacementSearch::Over(const std::vector<DeviceMemory>& used) const {
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

}  // namespace headrace::cli
