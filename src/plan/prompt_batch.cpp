#include "plan/prompt_batch.h"

#include <algorithm>

namespace headrace {
namespace {

constexpr double kComputingShare = 4;
constexpr double kAllowedStall = 2;

uint64_t SharedPiece(const PassCost& cost, uint64_t most_bytes, const PromptBatchMemory& memory) {
  const double one = cost.Seconds(1);
  if (one <= 0) return kUsualPromptBatch;
  uint64_t tokens = kNarrowestPiece;
  for (uint64_t wider = 2 * tokens; wider <= kPromptBatches.back(); wider *= 2) {
    const auto width = static_cast<double>(wider);
    if (cost.Seconds(width) > kAllowedStall * std::max(one, cost.DiskSeconds(width))) break;
    if (wider > kUsualPromptBatch && memory(wider).value_or(UINT64_MAX) > most_bytes) break;
    tokens = wider;
  }
  return tokens;
}

}  // namespace

uint64_t ChoosePromptBatch(const PassCost& cost, PromptPasses passes, uint64_t most_bytes,
                           const PromptBatchMemory& memory) {
  if (passes == PromptPasses::kShared) return SharedPiece(cost, most_bytes, memory);
  uint64_t chosen = kPromptBatches.front();
  for (const uint64_t tokens : kPromptBatches) {
    const auto width = static_cast<double>(tokens);
    const double seconds = cost.Seconds(width), disk_s = cost.DiskSeconds(width);
    if (seconds <= 0 || disk_s <= 0) return kUsualPromptBatch;
    if (tokens != chosen) {
      const auto bytes = memory(tokens);
      if (bytes && *bytes > most_bytes) return chosen;
    }
    chosen = tokens;
    if (seconds >= kComputingShare * disk_s) return chosen;
  }
  return chosen;
}

}  // namespace headrace
