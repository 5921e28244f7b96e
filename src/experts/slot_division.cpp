#include "experts/slot_division.h"

#include <algorithm>
#include <utility>

namespace headrace {

std::vector<uint32_t> DivideSlots(const std::vector<SlotClassNeed>& needs, uint64_t bytes) {
  std::vector<uint32_t> slots(needs.size(), 0);
  uint64_t at_once = 0;
  for (const SlotClassNeed& need : needs) at_once += std::min(need.at_once, need.most) * need.slot_bytes;
  const double part = at_once > bytes ? static_cast<double>(bytes) / static_cast<double>(at_once) : 1;
  uint64_t left = bytes;
  for (size_t i = 0; i < needs.size(); ++i) {
    slots[i] = static_cast<uint32_t>(part * std::min(needs[i].at_once, needs[i].most));
    left -= slots[i] * needs[i].slot_bytes;
  }
  std::vector<std::pair<double, size_t>> hottest;  // heat, class
  for (size_t i = 0; i < needs.size(); ++i) {
    for (const double heat : needs[i].heats) hottest.emplace_back(heat, i);
  }
  std::sort(hottest.begin(), hottest.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<uint32_t> given(needs.size(), 0);
  for (const auto& [heat, i] : hottest) {
    if (given[i] == slots[i]) {
      if (needs[i].slot_bytes > left || slots[i] == needs[i].most) continue;
      ++slots[i];
      left -= needs[i].slot_bytes;
    }
    ++given[i];
  }
  uint64_t wanted = 0;
  for (size_t i = 0; i < needs.size(); ++i) wanted += (needs[i].most - slots[i]) * needs[i].slot_bytes;
  const double share = wanted > left ? static_cast<double>(left) / static_cast<double>(wanted) : 1;
  for (size_t i = 0; i < needs.size(); ++i) {
    const auto more = static_cast<uint32_t>(share * (needs[i].most - slots[i]));
    slots[i] += more;
    left -= more * needs[i].slot_bytes;
  }
  // What rounding left.
  for (size_t i = 0; i < needs.size(); ++i) {
    const auto more = static_cast<uint32_t>(std::min<uint64_t>(needs[i].most - slots[i], left / needs[i].slot_bytes));
    slots[i] += more;
    left -= more * needs[i].slot_bytes;
  }
  return slots;
}

bool ShouldMoveSlots(const std::vector<SlotClassNeed>& needs, const std::vector<uint32_t>& now,
                     const std::vector<uint32_t>& wanted) {
  for (size_t i = 0; i < needs.size(); ++i) {
    if (wanted[i] <= now[i]) continue;
    if (now[i] < std::min(needs[i].at_once, wanted[i]) || wanted[i] - now[i] > wanted[i] / 8) return true;
  }
  return false;
}

}  // namespace headrace
