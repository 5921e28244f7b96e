#include "exec/slot_groups.h"

#include <algorithm>

namespace headrace {

std::vector<SlotGroup> GroupBySlots(const ExpertUse& use, size_t slice, std::span<const size_t> ready) {
  std::vector<SlotGroup> groups;
  for (const size_t i : ready) {
    const SlotArray slots = use.cached.array(i, slice);
    const auto same = std::find_if(groups.begin(), groups.end(),
                                   [&](const SlotGroup& group) { return group.slots.first == slots.first; });
    SlotGroup& group = same != groups.end() ? *same : groups.emplace_back();
    group.slots = slots;
    group.members.push_back(i);
  }
  for (SlotGroup& group : groups) {
    uint32_t first = UINT32_MAX, last = 0;
    for (const size_t i : group.members) {
      first = std::min(first, use.cached.place(i));
      last = std::max(last, use.cached.place(i));
    }
    for (const size_t i : group.members) {
      const auto pairs = use.choice.pairs(use.cached.expert(i));
      group.chosen.push_back({use.cached.place(i) - first, pairs});
      group.pairs += pairs.size();
    }
    group.slots.first += first * group.slots.stride;
    group.slots.count = last - first + 1;
  }
  return groups;
}

}  // namespace headrace
