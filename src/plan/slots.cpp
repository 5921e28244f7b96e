#include "plan/slots.h"

#include <algorithm>

namespace headrace {
namespace {

constexpr uint64_t kAllowedPart = 10;      // of a pass
constexpr double kAllowedStall = 2;

}  // namespace

SlotPlan PlanSlots(uint64_t context, uint64_t streamed_bytes, const SlotCosts& costs, uint64_t slots) {
  uint64_t allowed = streamed_bytes / kAllowedPart;
  SlotPlan plan{slots, context};
  if (slots == 0) {
    plan.slots = kMostSlots;
    if (costs.slot_bytes > 0) plan.slots = std::min(kMostSlots, kLeastSlots + allowed / costs.slot_bytes);
    allowed -= (plan.slots - kLeastSlots) * costs.slot_bytes;
  }
  if (costs.token_bytes > 0) plan.pool_tokens += allowed / costs.token_bytes / kCellGroup * kCellGroup;
  plan.pool_tokens = std::min(plan.pool_tokens, std::max(plan.slots, uint64_t{1}) * context);
  // More of them than groups of cells would only wait for each other.
  if (slots == 0) plan.slots = std::clamp(plan.pool_tokens / kCellGroup, kLeastSlots, plan.slots);
  return plan;
}

uint64_t SharedPromptPiece(const PassCost& pass) {
  uint64_t tokens = kNarrowestPiece;
  for (uint64_t wider = 2 * tokens; wider <= kWidestPiece; wider *= 2) {
    const auto width = static_cast<double>(wider);
    if (pass.Seconds(width) > kAllowedStall * std::max(pass.Seconds(1), pass.DiskSeconds(width))) break;
    tokens = wider;
  }
  return tokens;
}

}  // namespace headrace
