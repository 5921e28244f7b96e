#include "batch/slots.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/size.h"
#include "plan/slots.h"

namespace headrace::batch {
namespace {

constexpr double kAboutAsGood = 0.95;

}  // namespace

uint64_t CacheTokens(const BatchDemand& demand, uint64_t slots) {
  const auto usual = static_cast<uint64_t>(std::ceil(demand.mean_tokens * static_cast<double>(slots)));
  return std::max(kCellGroup, AlignUp(std::max(usual, demand.largest_tokens), kCellGroup));
}

SlotChoice ChooseSlots(const BatchDemand& demand, uint64_t most, const PassSeconds& pass_seconds) {
  most = std::max<uint64_t>(1, std::min(most, demand.requests));
  std::vector<SlotChoice> fitting;
  double best = 0;
  const auto speed = [](const SlotChoice& choice) {
    return choice.pass_seconds > 0 ? static_cast<double>(choice.slots) / choice.pass_seconds : 0;
  };
  for (uint64_t slots = 1;; slots = std::min(2 * slots, most)) {
    SlotChoice choice{slots, CacheTokens(demand, slots), 0};
    const auto seconds = pass_seconds(choice.slots, choice.cache_tokens);
    if (!seconds) break;
    choice.pass_seconds = *seconds;
    best = std::max(best, speed(choice));
    fitting.push_back(choice);
    if (slots == most) break;
  }
  SlotChoice chosen{1, CacheTokens(demand, 1), 0};
  for (const SlotChoice& choice : fitting) {
    if (speed(choice) >= kAboutAsGood * best) chosen = choice;
  }
  return chosen;
}

}  // namespace headrace::batch
