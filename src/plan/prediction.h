// Predicted speed of a residency plan on a machine, from first principles: the disk must deliver the
// streamed bytes of each pass, the processor must multiply all of them, and the two overlap. Pure.
#pragma once

#include <cstdint>

#include "plan/expert_demand.h"
#include "plan/residency.h"

namespace headrace {

// Measured, see learned/machine_profile.h. Zero means unknown: a limit that is then left out.
struct MachineProfile {
  double disk_bytes_per_s = 0;    // O_DIRECT, best queue depth
  double decode_bytes_per_s = 0;  // weight bytes that one-token kernels consume, all cores
  double prompt_flops_per_s = 0;  // of wide matrix products, all cores
  double repack_bytes_per_s = 0;  // all cores
};

// Of the limit; the benchmarks reached 0.8 to 0.97 (docs/benchmarks.md), and disks vary by a few percent.
inline constexpr double kReachedShare = 0.75;

struct Prediction {
  double decode_tokens_per_s = 0;
  // What to expect: from kReachedShare of that on. With experts up to twice the disk's share of it, for models whose
  // popular experts are more popular than is known; never above the memory's limit.
  double decode_low_tokens_per_s = 0, decode_high_tokens_per_s = 0;
  double prompt_tokens_per_s = 0;
  double first_token_s = 0;  // for the prompt below, the first pass with nothing resident yet
  bool disk_bound = false;   // decode waits for the disk
};

// prompt_tokens: length of the prompt that first_token_s and prompt_tokens_per_s are for;
// ubatch_tokens: tokens per pass of a prompt (llama.cpp's --ubatch-size).
// active_parameters: multiplied parameters per token.
Prediction Predict(const ResidencyPlan& plan, const MachineProfile& machine, double active_parameters,
                   uint64_t prompt_tokens, uint64_t ubatch_tokens, const ExpertDemand& experts = {});

}  // namespace headrace
