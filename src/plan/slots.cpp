#include "plan/slots.h"

#include <algorithm>

namespace headrace {
namespace {

constexpr uint64_t kAllowedPart = 10;  // of a pass
constexpr double kLossless = 0.97;
constexpr double kSharedPass = 1.5;  // tokens, on the average of those of about one width

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

uint64_t SlotsThatPay(const PassCost& cost, uint64_t slots) {
  const double alone = cost.Seconds(1);
  if (slots <= 1 || !(alone > 0) || cost.widest_measured() < kSharedPass) return slots;
  for (uint64_t texts = 2;; texts = std::min(2 * texts, slots)) {
    const auto width = static_cast<double>(texts);
    if (width * alone >= kLossless * cost.Seconds({width, width})) return slots;
    if (texts >= slots) return 1;
  }
}

}  // namespace headrace
