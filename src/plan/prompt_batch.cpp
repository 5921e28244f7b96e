#include "plan/prompt_batch.h"

namespace headrace {
namespace {

constexpr double kComputingShare = 4;

}  // namespace

uint64_t ChoosePromptBatch(const PassCost& cost, uint64_t most_bytes, const PromptBatchMemory& memory) {
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
