#include "experts/expert_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "base/size.h"
#include "io/read_thread.h"

namespace headrace {
namespace {

// A slice whose first byte may lie anywhere in a page needs one page more.
uint64_t Capacity(const ExpertSlices& slices) {
  const bool in_pages = slices.offset % kPageBytes == 0 && slices.bytes % kPageBytes == 0;
  return AlignUp(slices.bytes, kPageBytes) + (in_pages ? 0 : kPageBytes);
}

size_t CountExperts(const std::vector<ExpertLayout>& layers) {
  return std::accumulate(layers.begin(), layers.end(), size_t{0}, [](size_t sum, const ExpertLayout& layer) { return sum + layer.experts; });
}

}  // namespace

uint64_t ExpertLayout::SlotBytes() const {
  uint64_t bytes = 0;
  for (const ExpertSlices& slice : slices) bytes += Capacity(slice);
  return bytes;
}

bool ExpertCache::Slot::idle() const {
  return std::all_of(slices.begin(), slices.end(),
                     [this](const Slice& slice) { return slice.finished == (prefetch ? slice.issued : slice.span); });
}

ExpertCache::ExpertCache(std::unique_ptr<Reader> reader, std::vector<ExpertLayout> layers, Headroom* headroom)
    : reader_(std::move(reader)),
      headroom_(headroom),
      layers_(std::move(layers)),
      heat_(CountExperts(layers_), kHalfLife),
      popularity_(CountExperts(layers_), kPopularityHalfLife),
      flights_(reader_->depth()) {
  MakeSlots();
}

Result<std::unique_ptr<ExpertCache>> ExpertCache::Start(std::unique_ptr<Reader> reader, std::vector<ExpertLayout> layers,
                                                        uint64_t arena_bytes, Headroom* headroom) {
  std::unique_ptr<ExpertCache> cache(new ExpertCache(std::move(reader), std::move(layers), headroom));
  auto arena = Region::Reserve(std::accumulate(cache->classes_.begin(), cache->classes_.end(), uint64_t{0},
                                               [](uint64_t sum, const Class& of) { return sum + of.expert_bytes(); }));
  if (!arena.ok()) return arena.status();
  cache->arena_ = std::move(*arena);
  HEADRACE_RETURN_IF_ERROR(cache->Resize(arena_bytes));
  auto thread = StartReadThread("headrace-expert", [raw = cache.get()] { raw->Run(); });
  if (!thread.ok()) return thread.status();
  cache->thread_ = std::move(*thread);
  return cache;
}

ExpertCache::~ExpertCache() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
}

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
}

// The slots of one size that so much memory has beside the others'.
uint32_t ExpertCache::ShareOf(const Class& of, uint64_t arena_bytes) const {
  const double share = static_cast<double>(arena_bytes) * (static_cast<double>(of.expert_bytes()) / static_cast<double>(arena_.bytes()));
  return std::min(of.most, static_cast<uint32_t>(static_cast<uint64_t>(share) / of.slot_bytes));
}

Status ExpertCache::Resize(uint64_t arena_bytes) {
  std::unique_lock lock(mutex_);
  std::vector<uint32_t> before;
  for (const Class& of : classes_) before.push_back(of.slots);
  // All that shrinks before anything grows.
  for (Class& of : classes_) {
    if (const uint32_t slots = ShareOf(of, arena_bytes); slots < of.slots) Shrink(of, slots, lock);
  }
  for (Class& of : classes_) {
    const uint32_t slots = ShareOf(of, arena_bytes);
    if (slots <= of.slots) continue;
    const Status committed = arena_.Commit(of.arena_offset + of.slots * of.slot_bytes, (slots - of.slots) * of.slot_bytes);
    if (!committed.ok()) {
      for (size_t i = 0; i < classes_.size(); ++i) {
        if (before[i] < classes_[i].slots) Shrink(classes_[i], before[i], lock);
      }
      return committed;
    }
    of.slots = slots;
  }
  return {};
}

// The hottest experts that have arrived move into the slots that stay, in the place of the coldest there.
void ExpertCache::Shrink(Class& of, uint32_t slots, std::unique_lock<std::mutex>& lock) {
  const auto heat = [this](uint32_t index) { return Heat(slots_[index].layer, slots_[index].expert); };
  const std::vector<uint32_t> queued = prefetches_;
  for (const uint32_t index : queued) {
    if (slots_[index].idle()) Empty(index);
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
  work_.notify_one();
}

// The memory that it leaves goes with each piece that was copied, so that both together never hold more.
void ExpertCache::Relocate(uint32_t from, uint32_t to) {
  Empty(to);
  const uint64_t bytes = classes_[slots_[from].owner_class].slot_bytes;
  slots_[to] = slots_[from];
  slots_[to].touched = true;
  uint8_t* const target = SliceMemory(slots_[to], 0);
  uint8_t* const source = SliceMemory(slots_[from], 0);
  constexpr uint64_t kPiece = 16 * kPageBytes;
  for (uint64_t at = 0; at < bytes; at += kPiece) {
    const uint64_t piece = std::min(kPiece, bytes - at);
    std::memcpy(target + at, source + at, piece);
    ::madvise(source + at, piece, MADV_DONTNEED);
  }
  SlotOf(slots_[from].layer, slots_[from].expert) = to;
  slots_[from].expert = kNone;
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

void ExpertCache::BeginPass(double tokens) {
  heat_.Age(tokens);
  popularity_.Age(tokens);
}

void ExpertCache::Touch(uint32_t layer, uint32_t expert, double tokens) {
  heat_.Touch(first_expert_[layer] + expert, tokens);
  popularity_.Touch(first_expert_[layer] + expert, tokens);
}

void ExpertCache::Recall(uint32_t layer, uint32_t expert, double popularity) {
  heat_.Touch(first_expert_[layer] + expert, popularity * (kHalfLife / kPopularityHalfLife));
  popularity_.Touch(first_expert_[layer] + expert, popularity);
}

uint32_t ExpertCache::free_slots(uint32_t layer) const {
  const std::lock_guard lock(mutex_);
  const Class& of = classes_[class_of_[layer]];
  return static_cast<uint32_t>(std::count_if(slots_.begin() + of.first_slot, slots_.begin() + of.first_slot + of.slots,
                                             [](const Slot& slot) { return slot.expert == kNone; }));
}

uint8_t* ExpertCache::SliceMemory(const Slot& slot, size_t slice) const {
  const Class& of = classes_[slot.owner_class];
  const auto index = static_cast<uint64_t>(&slot - slots_.data()) - of.first_slot;
  uint64_t at = of.arena_offset + index * of.slot_bytes;
  for (size_t i = 0; i < slice; ++i) at += Capacity(layers_[slot.layer].slices[i]);
  return reinterpret_cast<uint8_t*>(arena_.data()) + at;
}

// Without `read` its caller fills it.
void ExpertCache::Occupy(uint32_t index, uint32_t layer, uint32_t expert, bool read) {
  Slot& slot = slots_[index];
  const ExpertLayout& layout = layers_[layer];
  slot.layer = layer;
  slot.expert = expert;
  slot.pins = 1;
  slot.error = {};
  slot.missing = static_cast<uint32_t>(layout.slices.size());
  slot.prefetch = read;
  slot.slices.assign(layout.slices.size(), {});
  for (size_t i = 0; i < layout.slices.size(); ++i) {
    Slice& slice = slot.slices[i];
    slice.lead = (layout.slices[i].offset + expert * layout.slices[i].bytes) % kPageBytes;
    if (read) slice.span = AlignUp(slice.lead + layout.slices[i].bytes, kPageBytes);
  }
  SlotOf(layer, expert) = index;
}

void ExpertCache::Empty(uint32_t index) {
  Slot& slot = slots_[index];
  if (slot.expert == kNone) return;
  if (slot.missing == 0) ready_bytes_ -= classes_[slot.owner_class].slot_bytes;
  if (slot.prefetch) std::erase(prefetches_, index);
  SlotOf(slot.layer, slot.expert) = kNone;
  slot.expert = kNone;
}

// False when there is no room for so much of a slot's memory, which was not used yet.
bool ExpertCache::Touch(const Slot& slot, uint64_t from, uint64_t bytes) const {
  return slot.touched || headroom_ == nullptr || headroom_->Touch(reinterpret_cast<std::byte*>(SliceMemory(slot, 0)) + from, bytes);
}

// Whether an expert can come into the slot that it has: not when that was to be read ahead and there is no room for its memory.
bool ExpertCache::CanBeRead(uint32_t index) {
  Slot& slot = slots_[index];
  slot.touched = slot.touched || Touch(slot, 0, classes_[slot.owner_class].slot_bytes);
  return slot.touched || !slot.idle();
}

// Free slots are taken from a layer's own place on: while nothing is given up its experts lie close together, and
// one product over them spans few slots. Not `fresh`: only those that were used before. kNone: there is none.
uint32_t ExpertCache::FreeSlot(const Class& of, uint32_t layer, bool fresh) const {
  const auto home = static_cast<uint32_t>(uint64_t{of.slots} * layer / layers_.size());
  for (uint32_t i = 0; i < of.slots; ++i) {
    const uint32_t index = of.first_slot + (home + i) % of.slots;
    if (slots_[index].expert == kNone && (fresh || slots_[index].touched)) return index;
  }
  return kNone;
}

// A free slot, or else that of the coldest expert that nobody uses and nothing reads into; kNone: there is none.
uint32_t ExpertCache::FreeOrColdest(const Class& of, uint32_t layer, bool fresh) const {
  if (const uint32_t free = FreeSlot(of, layer, fresh); free != kNone) return free;
  uint32_t coldest = kNone;
  double least = 0;
  for (uint32_t i = of.first_slot; i < of.first_slot + of.slots; ++i) {
    const Slot& slot = slots_[i];
    if (slot.expert == kNone || slot.pins > 0 || !slot.idle() || (!slot.touched && !fresh)) continue;
    const double heat = heat_[first_expert_[slot.layer] + slot.expert];
    if (coldest == kNone || heat < least) {
      coldest = i;
      least = heat;
    }
  }
  return coldest;
}

// Occupies a slot for an expert that is demanded. Memory that was not used before is touched here, where another expert can make room instead
// when there is no headroom; `fresh` is false from then on. kNone: all slots that can be used are pinned.
uint32_t ExpertCache::TakeSlot(uint32_t layer, uint32_t expert, bool& fresh, std::unique_lock<std::mutex>& lock) {
  const Class& of = classes_[class_of_[layer]];
  const auto slots = std::span(slots_).subspan(of.first_slot, of.slots);
  uint32_t slot = FreeOrColdest(of, layer, fresh);
  if (slot != kNone && !slots_[slot].touched) {
    Empty(slot);
    Occupy(slot, layer, expert, true);
    lock.unlock();
    fresh = Touch(slots_[slot], 0, of.slot_bytes);
    lock.lock();
    slots_[slot].touched = fresh;
    if (fresh) return slot;
    Empty(slot);
    slot = FreeOrColdest(of, layer, false);
  }
  while (slot == kNone && std::any_of(slots.begin(), slots.end(), [](const Slot& s) { return s.expert != kNone && s.pins == 0 && !s.idle(); })) {
    needs_slot_ = true;
    progress_.wait(lock);
    slot = FreeOrColdest(of, layer, false);
  }
  needs_slot_ = false;
  if (slot == kNone) return kNone;
  Empty(slot);
  Occupy(slot, layer, expert, true);
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
    progress_.wait(lock, [&] { return SlotOf(layer, experts[i]) == kNone || slots_[SlotOf(layer, experts[i])].error.ok(); });
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
      work_.notify_one();
      for (const uint32_t index : taken) Empty(index);
      std::erase_if(pins.slots_, [&](uint32_t s) { return s == kNone || std::find(taken.begin(), taken.end(), s) != taken.end(); });
      lock.unlock();
      return Status(Code::kOutOfBudget, fmt::format("{} experts are needed at once and the cache has {} slots of their size{}", experts.size(), of.slots,
                                                    fresh ? "" : ", of which some must wait until more memory is free"));
    }
    pins.slots_[i] = slot;
    taken.push_back(slot);
  }
  Want(layer, pins.slots_);
  return pins;
}

// Not so a slot that its caller fills (Adopt), or one whose read failed.
bool ExpertCache::Expects(uint32_t index) const {
  const Slot& slot = slots_[index];
  return slot.error.ok() && (slot.missing == 0 || slot.slices.front().span > 0);
}

ExpertCache::Pins ExpertCache::PinHeld(uint32_t layer, std::span<const uint32_t> experts) {
  Pins pins;
  pins.cache_ = this;
  const std::lock_guard lock(mutex_);
  for (const uint32_t expert : experts) {
    const uint32_t slot = SlotOf(layer, expert);
    if (slot == kNone || !Expects(slot) || !CanBeRead(slot)) continue;
    ++slots_[slot].pins;
    pins.slots_.push_back(slot);
  }
  Want(layer, pins.slots_);
  return pins;
}

ExpertCache::Pins ExpertCache::Adopt(uint32_t layer, std::span<const uint32_t> experts, size_t most) {
  Pins pins;
  pins.cache_ = this;
  const std::lock_guard lock(mutex_);
  const Class& of = classes_[class_of_[layer]];
  for (const uint32_t expert : experts) {
    if (pins.size() == most) break;
    if (SlotOf(layer, expert) != kNone) continue;
    const uint32_t slot = FreeSlot(of, layer, true);
    if (slot == kNone) break;
    Occupy(slot, layer, expert, false);
    if (!Touch(slots_[slot], 0, of.slot_bytes)) {
      Empty(slot);
      break;
    }
    slots_[slot].touched = true;
    pins.slots_.push_back(slot);
  }
  return pins;
}

void ExpertCache::Unpin(std::span<const uint32_t> slots) {
  const std::lock_guard lock(mutex_);
  for (const uint32_t index : slots) {
    Slot& slot = slots_[index];
    const bool reading = !slot.idle();
    if (--slot.pins == 0 && (slot.missing > 0 || !slot.error.ok()) && !reading) Empty(index);
  }
}

uint64_t ExpertCache::bytes_read() const {
  const std::lock_guard lock(mutex_);
  return bytes_read_;
}

uint64_t ExpertCache::reads_failed() const {
  const std::lock_guard lock(mutex_);
  return reads_failed_;
}

uint64_t ExpertCache::reads_retried() const {
  const std::lock_guard lock(mutex_);
  return reads_retried_;
}

uint64_t ExpertCache::ready_bytes() const {
  const std::lock_guard lock(mutex_);
  return ready_bytes_;
}

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

uint32_t ExpertCache::Pins::place(size_t i) const { return slots_[i] - cache_->classes_[cache_->slots_[slots_[i]].owner_class].first_slot; }

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

void ExpertCache::Pins::Fill(size_t i, size_t slice, uint64_t from, std::span<const uint8_t> bytes) {
  Slot& slot = cache_->slots_[slots_[i]];
  const uint64_t whole = cache_->layers_[slot.layer].slices[slice].bytes;
  Slice& filled = slot.slices[slice];
  if (filled.arrived || from != filled.filled || from + bytes.size() > whole) return;
  std::memcpy(cache_->SliceMemory(slot, slice) + filled.lead + from, bytes.data(), bytes.size());
  const std::lock_guard lock(cache_->mutex_);
  filled.filled += bytes.size();
  if (filled.filled < whole) return;
  filled.arrived = true;
  if (--slot.missing == 0) cache_->ready_bytes_ += cache_->classes_[slot.owner_class].slot_bytes;
}

}  // namespace headrace
