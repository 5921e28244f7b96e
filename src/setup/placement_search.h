// The placement of a model's weights that the engine's devices have room for: chosen by our own arithmetic, and made
// smaller until the engine's own sizes fit.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"
#include "engine/engine_memory.h"
#include "engine/engine_probe.h"
#include "plan/placement.h"
#include "setup/model_setup.h"

namespace headrace::cli {

struct FoundPlacement {
  Placement placement;
  uint64_t batch_tokens = 0;  // of prompts' passes; 0: as many as the arguments say
};

// All arguments outlive it.
class PlacementSearch {
 public:
  // Into `model.device_choice.room_bytes` of `model.devices`.
  PlacementSearch(const OptionNames& known, const ModelSetup& model, Result<EngineSimulation>& simulation);

  // Where not everything fits, passes of prompts are wide as far as context, memory and devices bear it. Errors:
  // kOutOfBudget with what is needed at least, those of the simulation.
  Result<FoundPlacement> Find(const EngineArguments& arguments);

  // With which something can be placed; 0: not known yet.
  uint64_t least_bytes() const { return least_bytes_; }

  // A cache of experts in use decodes faster than whole layers: 32 and 20 tokens/s on an H100, a mixture of 20.7 GiB, 7
  // GiB there (docs/device-benchmarks.md).
  std::optional<ExpertCacheShare> WithExpertCache(const Placement& placement) const;

 private:
  // What is there beside weights and context, with passes of so many tokens; 0: as many as the arguments say.
  Result<uint64_t> Buffers(uint64_t batch_tokens);
  // By our own arithmetic.
  std::optional<Placement> Choose(uint64_t buffers) const;
  // By the engine's: no device has more than its room. kOutOfBudget with what is needed at least.
  Result<Placement> Check(Placement placement, uint64_t batch_tokens, uint64_t buffers);
  Status TooLittle(uint64_t buffers);
  bool IsAll(const Placement& placement) const {
    return placement.device_layers > layers_ && placement.host_experts == 0 && placement.host_ffn == 0;
  }
  Result<EngineMemory> Simulate(const Placement& placement, uint64_t batch_tokens);
  // Of all devices, beyond their rooms.
  uint64_t Over(const std::vector<DeviceMemory>& used) const;

  const ModelSetup& model_;
  const std::vector<Device>& devices_;
  const std::vector<uint64_t>& rooms_;
  const uint64_t layers_;
  Result<EngineSimulation>& simulation_;
  PlacementModel sizes_;
  uint64_t least_bytes_ = 0;
};

// The engine's options for it.
std::vector<EngineOption> PlacementOptions(const Placement& placement);

// Under any of its names.
bool Knows(const OptionNames& known, OptionId option);

// Of all devices.
uint64_t Sum(const std::vector<uint64_t>& bytes);

}  // namespace headrace::cli
