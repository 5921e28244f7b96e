// Which weights go to devices (graphics cards) and which stay with the processor, in the words that llama.cpp has for
// it: whole layers from the end (-ngl), without the experts (--n-cpu-moe) or the dense feed-forward matrices
// (--n-cpu-ffn) of the first layers. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace headrace {

// What a weight is to the options above.
enum class WeightPart {
  kInput,    // tables that tokens are looked up in: never on a device
  kOutput,   // what comes after the last layer
  kShared,   // of a layer: attention, norms, routers, shared experts
  kFfn,      // of a layer: dense feed-forward matrices
  kExperts,  // of a layer: those that a router chooses from
};

struct Placement {
  uint64_t device_layers = 0;  // layers on devices, from the end; the output counts as one and goes first
  uint64_t host_experts = 0;   // the first layers whose experts stay with the processor
  uint64_t host_ffn = 0;       // and those whose feed-forward matrices do
  friend bool operator==(const Placement&, const Placement&) = default;
};

// Whether a device holds it. `layer` counts for parts of layers only, `layers` are those of the model.
bool OnDevice(const Placement& placement, WeightPart part, uint64_t layer, uint64_t layers);

struct LayerBytes {
  uint64_t shared = 0, ffn = 0, experts = 0;
};

struct PlacementModel {
  std::vector<LayerBytes> layers;
  uint64_t output_bytes = 0;
  uint64_t context_bytes = 0;  // KV caches and states of all layers: each layer's are where the layer is
  bool moves_experts = true;   // the engine has --n-cpu-moe
  bool moves_ffn = true;       // and --n-cpu-ffn
};

struct PlacedBytes {
  uint64_t weights = 0, context = 0;
  uint64_t total() const { return weights + context; }
};

// On devices.
PlacedBytes BytesOf(const PlacementModel& model, const Placement& placement);

// The placement that leaves least to memory and disk and takes at most `room_bytes` of the devices. A mixture has first
// what every token uses there, then whole layers of experts, from the end. A dense model has either all layers but some
// feed-forward matrices, or some layers as a whole: whichever fills the room better, the former where they are equal,
// for all attention is computed there then. Nullopt: not even what comes after the last layer fits (LeastDeviceBytes).
std::optional<Placement> ChoosePlacement(const PlacementModel& model, uint64_t room_bytes);
uint64_t LeastDeviceBytes(const PlacementModel& model);

// The layers of experts leave the devices for a cache there that the engine keeps, of experts in use whatever their
// layer.
struct ExpertCacheShare {
  Placement placement;
  uint64_t cache_bytes = 0;
};
// The cache must hold what two tokens choose, or it finds nothing again: `chosen_part` is what one token chooses of a
// layer's experts. Nullopt where it cannot, or where nothing stays with the processor.
std::optional<ExpertCacheShare> ShareWithExpertCache(const PlacementModel& model, const Placement& placement,
                                                     double chosen_part);

}  // namespace headrace
