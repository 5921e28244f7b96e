#include "plan/placement.h"

#include <algorithm>
#include <numeric>

namespace headrace {
namespace {

bool HasExperts(const PlacementModel& model) {
  return std::any_of(model.layers.begin(), model.layers.end(),
                     [](const LayerBytes& layer) { return layer.experts > 0; });
}

// The one with most layers that fits, nullopt when none does.
std::optional<Placement> MostLayers(const PlacementModel& model, uint64_t room_bytes, Placement placement) {
  for (uint64_t layers = model.layers.size() + 1; layers > 0; --layers) {
    placement.device_layers = layers;
    if (BytesOf(model, placement).total() <= room_bytes) return placement;
  }
  return std::nullopt;
}

// All layers, with as few parts left out as must be.
std::optional<Placement> AllLayers(const PlacementModel& model, uint64_t room_bytes, uint64_t Placement::*left_out,
                                   bool may_leave_out) {
  Placement placement;
  placement.device_layers = model.layers.size() + 1;
  for (uint64_t first = 0; first <= (may_leave_out ? model.layers.size() : 0); ++first) {
    placement.*left_out = first;
    if (BytesOf(model, placement).total() <= room_bytes) return placement;
  }
  return std::nullopt;
}

}  // namespace

bool OnDevice(const Placement& placement, WeightPart part, uint64_t layer, uint64_t layers) {
  if (part == WeightPart::kInput || placement.device_layers == 0) return false;
  if (part == WeightPart::kOutput) return true;
  // The output is one of the layers that are counted.
  if (layer + placement.device_layers <= layers) return false;
  if (part == WeightPart::kExperts) return layer >= placement.host_experts;
  return part != WeightPart::kFfn || layer >= placement.host_ffn;
}

PlacedBytes BytesOf(const PlacementModel& model, const Placement& placement) {
  PlacedBytes bytes;
  const uint64_t layers = model.layers.size();
  if (OnDevice(placement, WeightPart::kOutput, 0, layers)) bytes.weights += model.output_bytes;
  uint64_t whole = 0;  // layers whose attention is there
  for (uint64_t i = 0; i < layers; ++i) {
    const auto add = [&](WeightPart part, uint64_t of_part) {
      const bool there = OnDevice(placement, part, i, layers);
      if (there) bytes.weights += of_part;
      return there;
    };
    if (add(WeightPart::kShared, model.layers[i].shared)) ++whole;
    add(WeightPart::kFfn, model.layers[i].ffn);
    add(WeightPart::kExperts, model.layers[i].experts);
  }
  if (whole == layers) {
    bytes.context = model.context_bytes;
  } else {
    bytes.context = (model.context_bytes + layers - 1) / layers * whole;
  }
  return bytes;
}

std::optional<Placement> ChoosePlacement(const PlacementModel& model, uint64_t room_bytes) {
  if (HasExperts(model)) {
    if (const auto all = AllLayers(model, room_bytes, &Placement::host_experts, model.moves_experts)) return all;
    Placement none;
    if (model.moves_experts) none.host_experts = model.layers.size();
    return MostLayers(model, room_bytes, none);
  }
  const auto whole = MostLayers(model, room_bytes, {});
  const auto all = AllLayers(model, room_bytes, &Placement::host_ffn, model.moves_ffn);
  if (!whole || !all) return whole;
  return BytesOf(model, *all).total() >= BytesOf(model, *whole).total() ? all : whole;
}

uint64_t LeastDeviceBytes(const PlacementModel& model) {
  Placement output;
  output.device_layers = 1;
  return BytesOf(model, output).total();
}

std::optional<ExpertCacheShare> ShareWithExpertCache(const PlacementModel& model, const Placement& placement,
                                                     double chosen_part) {
  constexpr double kTokens = 2;
  const uint64_t layers = model.layers.size();
  if (placement.device_layers <= layers || placement.host_experts == 0 || placement.host_experts >= layers)
    return std::nullopt;
  ExpertCacheShare share{placement, 0};
  share.placement.host_experts = layers;
  share.cache_bytes = BytesOf(model, placement).total() - BytesOf(model, share.placement).total();
  const uint64_t all = std::accumulate(model.layers.begin(), model.layers.end(), uint64_t{0},
                                       [](uint64_t sum, const LayerBytes& layer) { return sum + layer.experts; });
  if (static_cast<double>(share.cache_bytes) < kTokens * chosen_part * static_cast<double>(all)) return std::nullopt;
  return share;
}

}  // namespace headrace
