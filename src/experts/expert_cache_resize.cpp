// How much memory the slots have, and which experts keep theirs when it shrinks.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "base/size.h"
#include "experts/expert_cache.h"

namespace headrace {

std::vector<SlotClassNeed> ExpertCache::Needs() const {
  std::vector<SlotClassNeed> needs(classes_.size());
  for (size_t i = 0; i < classes_.size(); ++i) {
    needs[i].slot_bytes = classes_[i].slot_bytes;
    needs[i].most = classes_[i].most;
  }
  for (uint32_t layer = 0; layer < layers_.size(); ++layer) {
    const ExpertLayout& layout = layers_[layer];
    SlotClassNeed& need = needs[class_of_[layer]];
    need.at_once = std::max(need.at_once, std::min(layout.experts, layout.per_token * together_));
    for (uint32_t expert = 0; expert < layout.experts; ++expert) {
      if (const double heat = Heat(layer, expert); heat > 0) need.heats.push_back(heat);
    }
  }
  return needs;
}

Status ExpertCache::Resize(uint64_t arena_bytes) {
  std::unique_lock lock(mutex_);
  HEADRACE_RETURN_IF_ERROR(SetSlots(DivideSlots(Needs(), arena_bytes), lock));
  arena_bytes_ = arena_bytes;
  undivided_ = 0;
  return {};
}

void ExpertCache::Divide() {
  undivided_ = 0;
  const std::vector<SlotClassNeed> needs = Needs();
  const std::vector<uint32_t> wanted = DivideSlots(needs, arena_bytes_);
  std::vector<uint32_t> now;
  for (const Class& of : classes_) now.push_back(of.slots);
  if (!ShouldMoveSlots(needs, now, wanted)) return;
  std::unique_lock lock(mutex_);
  // An error leaves slots without memory, which another try may get.
  static_cast<void>(SetSlots(wanted, lock).ok());
}

// All that shrinks before anything grows.
Status ExpertCache::SetSlots(const std::vector<uint32_t>& slots, std::unique_lock<std::mutex>& lock) {
  std::vector<uint32_t> before;
  for (const Class& of : classes_) before.push_back(of.slots);
  for (size_t i = 0; i < classes_.size(); ++i) {
    if (slots[i] < classes_[i].slots) Shrink(classes_[i], slots[i], lock);
  }
  for (size_t i = 0; i < classes_.size(); ++i) {
    Class& of = classes_[i];
    if (slots[i] <= of.slots) continue;
    const Status committed =
        arena_.Commit(of.arena_offset + of.slots * of.slot_bytes, (slots[i] - of.slots) * of.slot_bytes);
    if (!committed.ok()) {
      for (size_t grown = 0; grown < classes_.size(); ++grown) {
        if (before[grown] < classes_[grown].slots) Shrink(classes_[grown], before[grown], lock);
      }
      return committed;
    }
    of.slots = slots[i];
  }
  return {};
}

// The hottest experts that have arrived move into the slots that stay, in the place of the coldest there.
void ExpertCache::Shrink(Class& of, uint32_t slots, std::unique_lock<std::mutex>& lock) {
  const auto heat = [this](uint32_t index) { return Heat(slots_[index].layer, slots_[index].expert); };
  const std::vector<uint32_t> queued = prefetches_;
  for (const uint32_t index : queued) {
    if (index >= of.first_slot && index < of.first_slot + of.slots && slots_[index].idle()) Empty(index);
  }
  needs_slot_ = true;  // begins no more reads ahead
  progress_.wait(lock, [&] {
    return std::all_of(slots_.begin() + of.first_slot, slots_.begin() + of.first_slot + of.slots,
                       [](const Slot& slot) { return slot.expert == kNone || slot.idle(); });
  });
  needs_slot_ = false;
  std::vector<uint32_t> leave, stay;  // hottest first, coldest first
  for (uint32_t index = of.first_slot; index < of.first_slot + of.slots; ++index) {
    const bool goes = index >= of.first_slot + slots;
    if (slots_[index].expert != kNone && slots_[index].missing > 0) Empty(index);
    if (!goes || slots_[index].expert != kNone) (goes ? leave : stay).push_back(index);
  }
  std::sort(leave.begin(), leave.end(), [&](uint32_t a, uint32_t b) { return heat(a) > heat(b); });
  std::sort(stay.begin(), stay.end(), [&](uint32_t a, uint32_t b) {
    const bool a_free = slots_[a].expert == kNone, b_free = slots_[b].expert == kNone;
    return a_free != b_free ? a_free : !a_free && heat(a) < heat(b);
  });
  size_t moving = 0;
  while (moving < leave.size() && moving < stay.size() &&
         (slots_[stay[moving]].expert == kNone || heat(leave[moving]) > heat(stay[moving]))) {
    ++moving;
  }
  // Memory is short, and what moves may need some that was not used before: something that does not move goes first.
  if (moving > 0 && moving == leave.size()) --moving;
  const auto give_back = [&](uint32_t index) {
    Empty(index);
    slots_[index].touched = false;
    arena_.Decommit(of.arena_offset + (index - of.first_slot) * of.slot_bytes, of.slot_bytes);
  };
  for (uint32_t index = of.first_slot + slots; index < of.first_slot + of.slots; ++index) {
    if (slots_[index].expert == kNone) give_back(index);
  }
  for (size_t i = moving; i < leave.size(); ++i) give_back(leave[i]);
  for (size_t i = 0; i < moving; ++i) {
    Relocate(leave[i], stay[i]);
    give_back(leave[i]);
  }
  of.slots = slots;
  for (Candidate& coldest : coldest_) coldest.known = false;
  reads_.Wake();
}

// The memory that it leaves goes with each piece that was copied, so that both together never hold more.
void ExpertCache::Relocate(uint32_t from, uint32_t to) {
  Empty(to);
  const uint64_t bytes = classes_[slots_[from].owner_class].slot_bytes;
  slots_[to] = slots_[from];
  slots_[to].touched = true;
  uint8_t* const target = SliceMemory(slots_[to], 0);
  uint8_t* const source = SliceMemory(slots_[from], 0);
  constexpr uint64_t kPiece = 64 * kKiB;  // whole pages of every kernel
  for (uint64_t at = 0; at < bytes; at += kPiece) {
    const uint64_t piece = std::min(kPiece, bytes - at);
    std::memcpy(target + at, source + at, piece);
    ::madvise(source + at, piece, MADV_DONTNEED);
  }
  SlotOf(slots_[from].layer, slots_[from].expert) = to;
  slots_[from].expert = kNone;
  free_[from] = 1;
  free_[to] = 0;
}

}  // namespace headrace
