#include "rows/row_cache.h"

#include <algorithm>

namespace headrace {

uint32_t RowCache::Use(uint32_t row) {
  const auto found = slot_of_.find(row);
  if (found == slot_of_.end()) return kNone;
  Slot& slot = slots_[found->second];
  slot.uses = std::min<uint8_t>(kMostUses, static_cast<uint8_t>(slot.uses + 1));
  slot.pinned = round_;
  return found->second;
}

bool RowCache::Pin(uint32_t row) {
  const auto found = slot_of_.find(row);
  if (found == slot_of_.end()) return false;
  slots_[found->second].pinned = round_;
  return true;
}

uint32_t RowCache::Take(uint32_t row) {
  // After kMostUses + 1 rounds every row that is not pinned has been without uses once.
  for (uint64_t steps = 0; steps < (kMostUses + uint64_t{2}) * slots_.size(); ++steps) {
    const uint32_t index = hand_;
    hand_ = (hand_ + 1) % slots();
    Slot& slot = slots_[index];
    if (slot.row != kNone) {
      if (slot.pinned == round_) continue;
      if (slot.uses > 0) {
        --slot.uses;
        continue;
      }
      slot_of_.erase(slot.row);
    }
    slot = {row, 0, round_};
    slot_of_[row] = index;
    return index;
  }
  return kNone;
}

void RowCache::Forget(uint32_t row) {
  const auto found = slot_of_.find(row);
  if (found == slot_of_.end()) return;
  slots_[found->second] = {};
  slot_of_.erase(found);
}

}  // namespace headrace
