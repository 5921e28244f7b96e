// Which rows of a table are in memory, and which one goes when another is needed. Knows no bytes: a row has a slot.
//
// Text repeats some tokens all the time and most hardly ever. So each use counts, up to kMostUses; a hand goes round
// the slots, takes a use away from each row that it passes, and stops at one that has none left. What a long prompt
// uses once goes before what is used again and again.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace headrace {

// Not thread-safe.
class RowCache {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint8_t kMostUses = 3;

  // Slots from 0 on, of which there are none yet.
  RowCache() = default;
  // So many slots, not fewer than before.
  void Grow(uint32_t slots) { slots_.resize(slots); }
  uint32_t slots() const { return static_cast<uint32_t>(slots_.size()); }

  // The slot of a row, which is pinned and used once more. kNone: it is not in memory.
  uint32_t Use(uint32_t row);
  // Pins a row without using it. False: it is not in memory.
  bool Pin(uint32_t row);
  // A slot for a row that is not in memory: pinned, without uses beside this one. kNone: all are pinned.
  uint32_t Take(uint32_t row);
  // Nothing is left to take but from other rows.
  bool full() const { return slot_of_.size() == slots_.size(); }
  // No row is pinned any more.
  void Unpin() { ++round_; }
  // The row is not in memory after all.
  void Forget(uint32_t row);

 private:
  struct Slot {
    uint32_t row = kNone;
    uint8_t uses = 0;
    uint64_t pinned = 0;  // in this round
  };

  std::vector<Slot> slots_;
  std::unordered_map<uint32_t, uint32_t> slot_of_;
  uint64_t round_ = 1;
  uint32_t hand_ = 0;
};

}  // namespace headrace
