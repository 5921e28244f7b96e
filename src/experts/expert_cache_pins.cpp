// Pinned experts: where their bytes are, and waiting until they have arrived.
#include <algorithm>
#include <utility>

#include "experts/expert_cache.h"

namespace headrace {

ExpertCache::Pins& ExpertCache::Pins::operator=(Pins&& other) noexcept {
  if (this != &other) {
    Release();
    cache_ = std::exchange(other.cache_, nullptr);
    slots_ = std::exchange(other.slots_, {});
  }
  return *this;
}

void ExpertCache::Pins::Release() {
  if (cache_ != nullptr && !slots_.empty()) cache_->Unpin(slots_);
  slots_.clear();
}

uint32_t ExpertCache::Pins::expert(size_t i) const { return cache_->slots_[slots_[i]].expert; }

const uint8_t* ExpertCache::Pins::data(size_t i, size_t slice) const {
  const std::lock_guard lock(cache_->mutex_);
  const Slot& slot = cache_->slots_[slots_[i]];
  return slot.slices[slice].arrived ? cache_->SliceMemory(slot, slice) + slot.slices[slice].lead : nullptr;
}

SlotArray ExpertCache::Pins::array(size_t i, size_t slice) const {
  const Slot& slot = cache_->slots_[slots_[i]];
  const Class& of = cache_->classes_[slot.owner_class];
  const uint8_t* const own = cache_->SliceMemory(slot, slice) + slot.slices[slice].lead;
  return {own - place(i) * of.slot_bytes, of.slot_bytes, of.slots};
}

uint32_t ExpertCache::Pins::place(size_t i) const {
  return slots_[i] - cache_->classes_[cache_->slots_[slots_[i]].owner_class].first_slot;
}

uint8_t* ExpertCache::Pins::Convert(size_t i, size_t slice) {
  Slot& slot = cache_->slots_[slots_[i]];
  slot.slices[slice].converted = true;
  return cache_->SliceMemory(slot, slice) + slot.slices[slice].lead;
}

void ExpertCache::Pins::Spoil(size_t i) {
  const std::lock_guard lock(cache_->mutex_);
  Slot& slot = cache_->slots_[slots_[i]];
  if (slot.error.ok()) slot.error = Status(Code::kCancelled, "an expert was not converted");
}

Status ExpertCache::Pins::WaitForAny(size_t slice, std::span<const size_t> waiting) const {
  std::unique_lock lock(cache_->mutex_);
  Status error;
  cache_->progress_.wait(lock, [&] {
    return std::any_of(waiting.begin(), waiting.end(), [&](size_t i) {
      const Slot& slot = cache_->slots_[slots_[i]];
      error = slot.error;
      return slot.slices[slice].arrived || !slot.error.ok();
    });
  });
  return error;
}

}  // namespace headrace
