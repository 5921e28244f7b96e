#include "experts/expert_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "base/size.h"

namespace headrace {
namespace {

// A slice whose first byte may lie anywhere in a page needs one page more.
uint64_t Capacity(const ExpertSlices& slices) {
  const bool in_pages = slices.offset % kReadAlignment == 0 && slices.bytes % kReadAlignment == 0;
  return AlignUp(slices.bytes, kReadAlignment) + (in_pages ? 0 : kReadAlignment);
}

size_t CountExperts(const std::vector<ExpertLayout>& layers) {
  return std::accumulate(layers.begin(), layers.end(), size_t{0},
                         [](size_t sum, const ExpertLayout& layer) { return sum + layer.experts; });
}

}  // namespace

uint64_t ExpertLayout::SlotBytes() const {
  uint64_t bytes = 0;
  for (const ExpertSlices& slice : slices) bytes += Capacity(slice);
  return AlignUp(bytes, PageBytes());  // each slot's memory comes and goes alone
}

bool ExpertCache::Slot::idle() const {
  return std::all_of(slices.begin(), slices.end(),
                     [this](const Slice& slice) { return slice.finished == (prefetch ? slice.issued : slice.span); });
}

ExpertCache::ExpertCache(ReadService& reads, std::vector<ExpertLayout> layers, Headroom* headroom)
    : reads_(reads),
      headroom_(headroom),
      layers_(std::move(layers)),
      heat_(CountExperts(layers_)),
      popularity_(CountExperts(layers_), kPopularityHalfLife) {
  MakeSlots();
}

Result<std::unique_ptr<ExpertCache>> ExpertCache::Start(ReadService& reads, std::vector<ExpertLayout> layers,
                                                        uint64_t arena_bytes, Headroom* headroom) {
  std::unique_ptr<ExpertCache> cache(new ExpertCache(reads, std::move(layers), headroom));
  auto arena = Region::Reserve(std::accumulate(cache->classes_.begin(), cache->classes_.end(), uint64_t{0},
                                               [](uint64_t sum, const Class& of) { return sum + of.expert_bytes(); }));
  if (!arena.ok()) return arena.status();
  cache->arena_ = std::move(*arena);
  HEADRACE_RETURN_IF_ERROR(cache->Resize(arena_bytes));
  reads.Attach(*cache);
  return cache;
}

ExpertCache::~ExpertCache() { reads_.Detach(*this); }

void ExpertCache::MakeSlots() {
  std::map<uint64_t, uint32_t> experts_of_size;
  for (const ExpertLayout& layer : layers_) experts_of_size[layer.SlotBytes()] += layer.experts;
  std::map<uint64_t, uint32_t> class_of_size;
  uint64_t offset = 0;
  for (const auto& [size, experts] : experts_of_size) {
    const auto number = static_cast<uint32_t>(classes_.size());
    class_of_size[size] = number;
    classes_.push_back({size, offset, static_cast<uint32_t>(slots_.size()), experts, 0});
    offset += classes_.back().expert_bytes();
    slots_.resize(slots_.size() + experts);
    for (uint32_t i = 0; i < experts; ++i) slots_[classes_.back().first_slot + i].owner_class = number;
  }
  size_t most_slices = 0;
  for (const ExpertLayout& layer : layers_) {
    class_of_.push_back(class_of_size[layer.SlotBytes()]);
    most_slices = std::max(most_slices, layer.slices.size());
    first_expert_.push_back(static_cast<uint32_t>(slot_of_.size()));
    slot_of_.resize(slot_of_.size() + layer.experts, kNone);
  }
  for (Slot& slot : slots_) slot.slices.reserve(most_slices);
  prefetches_.reserve(slots_.size());
  free_.assign(slots_.size(), 1);
  coldest_.resize(layers_.size());
}

uint32_t ExpertCache::slots(uint32_t layer) const { return classes_[class_of_[layer]].slots; }

bool ExpertCache::Holds(uint32_t layer, uint32_t expert) const {
  const std::lock_guard lock(mutex_);
  const uint32_t slot = SlotOf(layer, expert);
  return slot != kNone && slots_[slot].error.ok();
}

bool ExpertCache::Ready(uint32_t layer, uint32_t expert) const {
  const std::lock_guard lock(mutex_);
  const uint32_t slot = SlotOf(layer, expert);
  return slot != kNone && slots_[slot].missing == 0;
}

void ExpertCache::BeginPass(double tokens, uint32_t together) {
  heat_.Age(tokens);
  popularity_.Age(tokens);
  undivided_ += tokens;
  const bool more = together > together_;
  together_ = std::max(together_, together);
  if (classes_.size() > 1 && (more || undivided_ >= kDivideTokens)) Divide();
}

// Nobody becomes colder by it: a candidate that was not touched is still the coldest.
void ExpertCache::Touch(uint32_t layer, uint32_t expert, double tokens) {
  const ExpertLayout& layout = layers_[layer];
  heat_.Touch(first_expert_[layer] + expert, tokens, static_cast<double>(layout.per_token) / layout.experts);
  popularity_.Touch(first_expert_[layer] + expert, tokens);
}

void ExpertCache::Recall(uint32_t layer, uint32_t expert, double popularity) {
  // The popularity of an expert that each token chose for long.
  static const double always = 1 / (1 - std::exp2(-1 / kPopularityHalfLife));
  heat_.Recall(first_expert_[layer] + expert, std::min(1.0, popularity / always));
  popularity_.Touch(first_expert_[layer] + expert, popularity);
}

uint32_t ExpertCache::free_slots(uint32_t layer) const {
  const std::lock_guard lock(mutex_);
  const Class& of = classes_[class_of_[layer]];
  return static_cast<uint32_t>(std::count(free_.begin() + of.first_slot, free_.begin() + of.first_slot + of.slots, 1));
}

bool ExpertCache::HasFreeSlots() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(classes_.begin(), classes_.end(), [&](const Class& of) {
    const auto first = free_.begin() + of.first_slot;
    return std::find(first, first + of.slots, 1) != first + of.slots;
  });
}

uint8_t* ExpertCache::SliceMemory(const Slot& slot, size_t slice) const {
  const Class& of = classes_[slot.owner_class];
  const auto index = static_cast<uint64_t>(&slot - slots_.data()) - of.first_slot;
  uint64_t at = of.arena_offset + index * of.slot_bytes;
  for (size_t i = 0; i < slice; ++i) at += Capacity(layers_[slot.layer].slices[i]);
  return reinterpret_cast<uint8_t*>(arena_.data()) + at;
}

// Nothing of it is read until it is asked for (Want, Prefetch).
void ExpertCache::Occupy(uint32_t index, uint32_t layer, uint32_t expert) {
  Slot& slot = slots_[index];
  const ExpertLayout& layout = layers_[layer];
  slot.layer = layer;
  slot.expert = expert;
  slot.pins = 1;
  slot.error = {};
  slot.missing = static_cast<uint32_t>(layout.slices.size());
  slot.prefetch = true;
  slot.slices.assign(layout.slices.size(), {});
  for (size_t i = 0; i < layout.slices.size(); ++i) {
    Slice& slice = slot.slices[i];
    slice.lead = (layout.slices[i].offset + expert * layout.slices[i].bytes) % kReadAlignment;
    slice.span = AlignUp(slice.lead + layout.slices[i].bytes, kReadAlignment);
  }
  SlotOf(layer, expert) = index;
  free_[index] = 0;
}

void ExpertCache::Empty(uint32_t index) {
  Slot& slot = slots_[index];
  if (slot.expert == kNone) return;
  if (slot.missing == 0) ready_bytes_ -= classes_[slot.owner_class].slot_bytes;
  if (slot.prefetch) std::erase(prefetches_, index);
  SlotOf(slot.layer, slot.expert) = kNone;
  slot.expert = kNone;
  free_[index] = 1;
}

// False when there is no room for so much of a slot's memory, which was not used yet.
bool ExpertCache::Touch(const Slot& slot, uint64_t from, uint64_t bytes) const {
  return slot.touched || headroom_ == nullptr ||
         headroom_->Touch(reinterpret_cast<std::byte*>(SliceMemory(slot, 0)) + from, bytes);
}

// Whether an expert can come into the slot that it has: not when that was to be read ahead and there is no room for its
// memory.
bool ExpertCache::CanBeRead(uint32_t index) {
  Slot& slot = slots_[index];
  slot.touched = slot.touched || Touch(slot, 0, classes_[slot.owner_class].slot_bytes);
  return slot.touched || !slot.idle();
}

// Free slots are taken from a layer's own place on: while nothing is given up its experts lie close together, and
// one product over them spans few slots. Not `fresh`: only those that were used before. kNone: there is none.
uint32_t ExpertCache::FreeSlot(const Class& of, uint32_t layer, bool fresh) const {
  const uint32_t begin = of.first_slot, end = begin + of.slots;
  const auto home = begin + static_cast<uint32_t>(uint64_t{of.slots} * layer / layers_.size());
  for (const auto& [from, to] : {std::pair(home, end), std::pair(begin, home)}) {
    for (uint32_t at = from; at < to; ++at) {
      const void* const found = std::memchr(free_.data() + at, 1, to - at);
      if (found == nullptr) break;
      at = static_cast<uint32_t>(static_cast<const uint8_t*>(found) - free_.data());
      if (fresh || slots_[at].touched) return at;
    }
  }
  return kNone;
}

// Its expert can be given up: nobody uses it, and nothing is read into it.
bool ExpertCache::CanGoNow(const Slot& slot, bool fresh) const {
  return slot.pins == 0 && slot.idle() && (fresh || slot.touched);
}

ExpertCache::Candidate ExpertCache::ColdestOf(uint32_t layer, bool fresh) const {
  Candidate coldest;
  coldest.known = true;
  const uint32_t first = first_expert_[layer];
  for (uint32_t expert = 0; expert < layers_[layer].experts; ++expert) {
    const uint32_t slot = slot_of_[first + expert];
    if (slot == kNone) continue;
    const double heat = heat_[first + expert];
    if ((coldest.slot == kNone || heat < coldest.heat) && CanGoNow(slots_[slot], fresh)) {
      coldest.slot = slot;
      coldest.heat = heat;
    }
  }
  return coldest;
}

// A free slot, or else that of the coldest expert that can be given up; kNone: there is none. The coldest of each layer
// is found anew only where it may have changed, in a new pass for example, when its heat is another one: a cache of
// 24,000 experts would otherwise be looked through for each that comes.
uint32_t ExpertCache::FreeOrColdest(const Class& of, uint32_t layer, bool fresh) {
  if (const uint32_t free = FreeSlot(of, layer, fresh); free != kNone) return free;
  Candidate coldest;
  for (uint32_t other = 0; other < layers_.size(); ++other) {
    if (&classes_[class_of_[other]] != &of) continue;
    Candidate& candidate = coldest_[other];
    const auto holds = [&] {
      if (!candidate.known || candidate.slot == kNone) return candidate.known;
      const Slot& slot = slots_[candidate.slot];
      return slot.expert != kNone && slot.layer == other && CanGoNow(slot, fresh) &&
             heat_[first_expert_[other] + slot.expert] == candidate.heat;
    };
    if (!fresh || !holds()) candidate = ColdestOf(other, fresh);
    if (candidate.slot != kNone && (coldest.slot == kNone || candidate.heat < coldest.heat)) coldest = candidate;
    if (!fresh) candidate.known = false;
  }
  return coldest.slot;
}

// Occupies a slot for an expert that is demanded. Memory that was not used before is touched here, where another expert
// can make room instead when there is no headroom; `fresh` is false from then on. kNone: all slots that can be used are
// pinned.
uint32_t ExpertCache::TakeSlot(uint32_t layer, uint32_t expert, bool& fresh, std::unique_lock<std::mutex>& lock) {
  const Class& of = classes_[class_of_[layer]];
  const auto slots = std::span(slots_).subspan(of.first_slot, of.slots);
  uint32_t slot = FreeOrColdest(of, layer, fresh);
  if (slot != kNone && !slots_[slot].touched) {
    Empty(slot);
    Occupy(slot, layer, expert);
    lock.unlock();
    fresh = Touch(slots_[slot], 0, of.slot_bytes);
    lock.lock();
    slots_[slot].touched = fresh;
    if (fresh) return slot;
    Empty(slot);
    slot = FreeOrColdest(of, layer, false);
  }
  while (slot == kNone && std::any_of(slots.begin(), slots.end(),
                                      [](const Slot& s) { return s.expert != kNone && s.pins == 0 && !s.idle(); })) {
    needs_slot_ = true;
    progress_.wait(lock);
    slot = FreeOrColdest(of, layer, false);
  }
  needs_slot_ = false;
  if (slot == kNone) return kNone;
  Empty(slot);
  Occupy(slot, layer, expert);
  return slot;
}

Result<ExpertCache::Pins> ExpertCache::Demand(uint32_t layer, std::span<const uint32_t> experts) {
  Pins pins;
  pins.cache_ = this;
  pins.slots_.assign(experts.size(), kNone);
  std::vector<uint32_t> taken;
  bool fresh = true;
  std::unique_lock lock(mutex_);
  const Class& of = classes_[class_of_[layer]];
  for (size_t i = 0; i < experts.size(); ++i) {
    // One that failed for somebody else is on its way out; it is then read again.
    progress_.wait(lock,
                   [&] { return SlotOf(layer, experts[i]) == kNone || slots_[SlotOf(layer, experts[i])].error.ok(); });
    if (SlotOf(layer, experts[i]) == kNone) continue;
    if (!CanBeRead(SlotOf(layer, experts[i]))) {
      Empty(SlotOf(layer, experts[i]));
      continue;
    }
    pins.slots_[i] = SlotOf(layer, experts[i]);
    ++slots_[pins.slots_[i]].pins;
  }
  for (size_t i = 0; i < experts.size(); ++i) {
    if (pins.slots_[i] != kNone) continue;
    const uint32_t slot = TakeSlot(layer, experts[i], fresh, lock);
    if (slot == kNone) {
      reads_.Wake();
      for (const uint32_t index : taken) Empty(index);
      std::erase_if(pins.slots_,
                    [&](uint32_t s) { return s == kNone || std::find(taken.begin(), taken.end(), s) != taken.end(); });
      lock.unlock();
      return Status(
          Code::kOutOfBudget,
          fmt::format("{} experts are needed at once and the cache has {} slots of their size{}", experts.size(),
                      of.slots, fresh ? "" : ", of which some must wait until more memory is free"));
    }
    pins.slots_[i] = slot;
    taken.push_back(slot);
  }
  Want(layer, pins.slots_);
  return pins;
}

ExpertCache::Pins ExpertCache::PinHeld(uint32_t layer, std::span<const uint32_t> experts) {
  Pins pins;
  pins.cache_ = this;
  const std::lock_guard lock(mutex_);
  for (const uint32_t expert : experts) {
    const uint32_t slot = SlotOf(layer, expert);
    if (slot == kNone || !slots_[slot].error.ok() || !CanBeRead(slot)) continue;
    ++slots_[slot].pins;
    pins.slots_.push_back(slot);
  }
  Want(layer, pins.slots_);
  return pins;
}

void ExpertCache::Unpin(std::span<const uint32_t> slots) {
  const std::lock_guard lock(mutex_);
  for (const uint32_t index : slots) {
    Slot& slot = slots_[index];
    coldest_[slot.layer].known = false;
    const bool reading = !slot.idle();
    if (--slot.pins == 0 && (slot.missing > 0 || !slot.error.ok()) && !reading) Empty(index);
  }
}

uint64_t ExpertCache::bytes_read() const {
  const std::lock_guard lock(mutex_);
  return bytes_read_;
}

uint64_t ExpertCache::ready_bytes() const {
  const std::lock_guard lock(mutex_);
  return ready_bytes_;
}

}  // namespace headrace
