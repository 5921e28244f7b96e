// How the memory of the experts' cache is divided among slots of several sizes: files whose layers have different types
// have experts of different sizes. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

namespace headrace {

// What the experts of one size want.
struct SlotClassNeed {
  uint64_t slot_bytes = 0;
  uint32_t most = 0;  // experts of this size
  uint32_t at_once =
      0;  // that one layer demands together: with fewer slots none of its experts takes the place of another
  std::vector<double> heats;  // of those that were used, in any order
};

// Slots of each size in `bytes` of memory. Each size has what it needs at once, or if that is too much in all the same
// part of it. The rest goes to the hottest experts, of whatever size, as if all slots were alike: a miss costs the time
// to read its bytes, and a slot costs as many. What the used ones leave is divided in proportion to the bytes of the
// others.
std::vector<uint32_t> DivideSlots(const std::vector<SlotClassNeed>& needs, uint64_t bytes);

// Whether the present division is so far from the wanted one that it pays to move memory, which must be touched and
// filled anew: a size lacks what it needs at once, or an eighth of what it should have.
bool ShouldMoveSlots(const std::vector<SlotClassNeed>& needs, const std::vector<uint32_t>& now,
                     const std::vector<uint32_t>& wanted);

}  // namespace headrace
