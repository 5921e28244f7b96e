// What the cache reads, and in which order.
#include <algorithm>

#include "experts/expert_cache.h"

namespace headrace {

// Somebody waits for these slots now: asks for what is unread, the first slice of all before the second.
void ExpertCache::Want(uint32_t layer, std::span<const uint32_t> slots) {
  const size_t before = wanted_.size();
  for (uint32_t slice = 0; slice < layers_[layer].slices.size(); ++slice) {
    for (const uint32_t index : slots) {
      const Slot& slot = slots_[index];
      if (slot.prefetch && slot.slices[slice].issued < slot.slices[slice].span) wanted_.emplace_back(index, slice);
    }
  }
  for (const uint32_t index : slots) {
    if (slots_[index].prefetch) std::erase(prefetches_, index);
    slots_[index].prefetch = false;
  }
  if (wanted_.size() > before) reads_.Wake();
}

size_t ExpertCache::Prefetch(std::span<const ExpertName> experts, Into into) {
  size_t room = 0;
  const std::lock_guard lock(mutex_);
  // None makes room for another of them. What is read ahead is cold as a rule: it would be the first to go.
  std::vector<uint32_t> kept;
  for (const auto& [layer, expert] : experts) {
    if (SlotOf(layer, expert) != kNone) ++slots_[kept.emplace_back(SlotOf(layer, expert))].pins;
  }
  for (const auto& [layer, expert] : experts) {
    if (SlotOf(layer, expert) != kNone) continue;
    const Class& of = classes_[class_of_[layer]];
    const uint32_t index = into == Into::kColdestToo ? FreeOrColdest(of, layer, true) : FreeSlot(of, layer, true);
    if (index == kNone) continue;
    Empty(index);
    Occupy(index, layer, expert);
    kept.push_back(index);
    prefetches_.push_back(index);
    ++room;
  }
  for (const uint32_t index : kept) {
    --slots_[index].pins;
    coldest_[slots_[index].layer].known = false;
  }
  if (room > 0) reads_.Wake();
  return room;
}

void ExpertCache::DropPrefetches() {
  const std::lock_guard lock(mutex_);
  const std::vector<uint32_t> queued = prefetches_;
  for (const uint32_t index : queued) {
    const Slot& slot = slots_[index];
    const bool begun =
        std::any_of(slot.slices.begin(), slot.slices.end(), [](const Slice& slice) { return slice.issued > 0; });
    if (!begun && slot.pins == 0) Empty(index);
  }
}

ReadRequest ExpertCache::Begin(uint32_t index, uint32_t which, bool prefetch) {
  const auto flight = std::find_if(flights_.begin(), flights_.end(), [](const Flight& f) { return f.slot == kNone; });
  Slot& slot = slots_[index];
  Slice& slice = slot.slices[which];
  const ExpertSlices& source = layers_[slot.layer].slices[which];
  const uint32_t chunk = prefetch ? kPrefetchChunkBytes : kChunkBytes;
  *flight = {index, which, prefetch, false, {}};
  flight->request.file = source.file;
  flight->request.offset = source.offset + slot.expert * source.bytes - slice.lead + slice.issued;
  flight->request.length = static_cast<uint32_t>(std::min<uint64_t>(chunk, slice.span - slice.issued));
  flight->request.destination = SliceMemory(slot, which) + slice.issued;
  flight->request.tag = static_cast<uint64_t>(flight - flights_.begin());
  slice.issued += flight->request.length;
  const auto issued = [](const Slice& s) { return s.issued == s.span; };
  slot.touched = slot.touched || std::all_of(slot.slices.begin(), slot.slices.end(), issued);
  return flight->request;
}

bool ExpertCache::NextRead(ReadKind kind, ReadRequest& request) {
  if (kind == ReadKind::kOrder) return false;
  const std::lock_guard lock(mutex_);
  if (kind == ReadKind::kDemand && NextAgain(request)) return true;
  if (std::none_of(flights_.begin(), flights_.end(), [](const Flight& flight) { return flight.slot == kNone; }))
    return false;
  return kind == ReadKind::kDemand ? NextDemand(request) : NextPrefetch(request);
}

// A read ahead that failed, and that somebody waits for.
bool ExpertCache::NextAgain(ReadRequest& request) {
  for (Flight& flight : flights_) {
    if (!flight.again) continue;
    flight.again = false;
    request = flight.request;
    return true;
  }
  return false;
}

bool ExpertCache::NextDemand(ReadRequest& request) {
  if (wanted_.empty()) return false;
  const auto [slot, slice] = wanted_.front();
  request = Begin(slot, slice, false);
  if (slots_[slot].slices[slice].issued == slots_[slot].slices[slice].span) wanted_.pop_front();
  return true;
}

// Only when all that somebody waits for has arrived.
bool ExpertCache::NextPrefetch(ReadRequest& request) {
  const bool waits =
      std::any_of(flights_.begin(), flights_.end(), [](const Flight& f) { return f.slot != kNone && !f.prefetch; });
  if (prefetches_.empty() || waits || needs_slot_) return false;
  const uint32_t index = prefetches_.front();
  Slot& slot = slots_[index];
  const auto unread = [](const Slice& slice) { return slice.issued < slice.span; };
  const auto slice = std::find_if(slot.slices.begin(), slot.slices.end(), unread);
  const auto memory =
      static_cast<uint64_t>(SliceMemory(slot, static_cast<size_t>(slice - slot.slices.begin())) - SliceMemory(slot, 0));
  if (!Touch(slot, memory + slice->issued, std::min<uint64_t>(kPrefetchChunkBytes, slice->span - slice->issued)))
    return false;
  request = Begin(index, static_cast<uint32_t>(slice - slot.slices.begin()), true);
  if (std::none_of(slice, slot.slices.end(), unread)) {
    prefetches_.erase(prefetches_.begin());
    slot.prefetch = false;
  }
  return true;
}

void ExpertCache::Finish(const ReadResult& result) {
  Flight& flight = flights_[result.tag];
  const uint32_t index = flight.slot;
  Slot& slot = slots_[index];
  if (!result.status.ok()) {
    if (flight.prefetch && slot.pins > 0 && slot.error.ok()) {
      flight.prefetch = false;
      flight.again = true;
      return;
    }
    if (slot.error.ok()) slot.error = result.status;
    if (slot.prefetch) std::erase(prefetches_, index);
  } else {
    bytes_read_ += flight.request.length;
  }
  Slice& slice = slot.slices[flight.slice];
  slice.finished += flight.request.length;
  flight.slot = kNone;
  coldest_[slot.layer].known = false;
  if (slice.finished == slice.span && slot.error.ok()) {
    slice.arrived = true;
    if (--slot.missing == 0) ready_bytes_ += classes_[slot.owner_class].slot_bytes;
  }
  if (!slot.error.ok() && slot.pins == 0 && slot.idle()) Empty(index);
}

void ExpertCache::ReadsEnded(std::span<const ReadResult> results) {
  const std::lock_guard lock(mutex_);
  for (const ReadResult& result : results) Finish(result);
  progress_.notify_all();
}

}  // namespace headrace
