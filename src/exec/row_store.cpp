#include "exec/row_store.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"

namespace headrace {
namespace {

Status CheckLookup(ggml_status status, const RowTable& table) {
  return CheckComputed(status, "the engine did not look up rows of", table.tensor);
}

}  // namespace

RowTable* RowStore::FindOrAdd(const Lookup& lookup) {
  const ggml_tensor& tensor = *lookup.node->src[0];
  for (RowTable& table : tables_) {
    if (table.tensor.data == tensor.data && table.tensor.type == tensor.type &&
        std::memcmp(table.tensor.ne, tensor.ne, sizeof tensor.ne) == 0)
      return &table;
  }
  RowTable& table = tables_.emplace_back();
  table.tensor = tensor;
  table.origin = lookup.origin;
  table.row_bytes = tensor.nb[1];
  changed_ = true;
  return &table;
}

bool RowStore::Any(const void* address, uint64_t bytes) const {
  return std::any_of(tables_.begin(), tables_.end(),
                     [&](const RowTable& table) { return LiesIn(table.tensor, address, bytes); });
}

void RowStore::Remove(const void* address, uint64_t bytes) {
  if (!Any(address, bytes)) return;
  Drop();  // what is being read of it would lie in memory of another one
  tables_.remove_if([&](const RowTable& table) { return LiesIn(table.tensor, address, bytes); });
  changed_ = true;
}

std::vector<RowShape> RowStore::Shapes() const {
  std::vector<RowShape> shapes;
  for (const RowTable& table : tables_) shapes.push_back({static_cast<uint64_t>(table.tensor.ne[1]), table.row_bytes});
  return shapes;
}

Status RowStore::EnsureMemory(WeightStore& weights, uint64_t bytes, ReadService& reads, Headroom& headroom) {
  if (!changed_ && bytes == granted_bytes_) return {};
  Drop();
  headroom_ = &headroom;
  const std::vector<RowShape> shapes = Shapes();
  const RowMemoryPlan plan = PlanRowMemory(shapes, bytes);
  if (plan.slots > 0) {
    auto reservation = weights.Charge(bytes, "rows of tables");
    if (!reservation.ok()) return reservation.status();
    auto buffers = Region::Reserve(plan.buffers_bytes());
    if (!buffers.ok()) return buffers.status();
    HEADRACE_RETURN_IF_ERROR(buffers->Commit(0, plan.buffers_bytes()));
    auto arena = Region::Reserve(bytes - plan.buffers_bytes());
    if (!arena.ok()) return arena.status();
    HEADRACE_RETURN_IF_ERROR(arena->Commit(0, arena->bytes()));
    if (headroom.Touch(buffers->data(), buffers->bytes())) {
      reader_ = std::make_unique<RowReader>(reads, std::move(*buffers), plan.buffer_bytes);
      reservation_ = std::move(*reservation);
      arena_ = std::move(*arena);
      auto* place = reinterpret_cast<uint8_t*>(arena_.data());
      for (RowTable& table : tables_) {
        table.stride = SlotStride(table.row_bytes);
        table.most_slots =
            static_cast<uint32_t>(std::min<uint64_t>(plan.slots, static_cast<uint64_t>(table.tensor.ne[1])));
        table.slots = place;
        place += AlignUp(table.stride * table.most_slots, PageBytes());
      }
      LogDebug(fmt::format("rows of {} tables: {}, {} of each, {} reads of at most {} at a time", tables_.size(),
                           FormatSize(bytes), plan.slots, plan.depth, FormatSize(plan.buffer_bytes)));
    }
  }
  granted_bytes_ = bytes;
  changed_ = plan.slots > 0 && reader_ == nullptr;  // no headroom: another pass tries again
  return {};
}

void RowStore::Drop() {
  if (reader_ != nullptr) {
    static_cast<void>(reader_->Wait());
    bytes_read_ += reader_->bytes_read();
  }
  reader_.reset();
  arena_ = {};
  reservation_.Release();
  pending_.clear();
  for (RowTable& table : tables_) {
    table.cache = {};
    table.unused.clear();
    table.slots = nullptr;
    table.most_slots = 0;
  }
  granted_bytes_ = 0;
  changed_ = true;
}

// A slot for a row: one more as long as there is room for it, then another row's.
uint32_t RowStore::Take(RowTable& table, uint32_t row) {
  constexpr uint64_t kTouchedBytes = 64 * kKiB;
  RowCache& cache = table.cache;
  if (cache.full() && cache.slots() < table.most_slots) {
    const uint64_t more =
        std::min<uint64_t>(std::max<uint64_t>(1, kTouchedBytes / table.stride), table.most_slots - cache.slots());
    if (headroom_->Touch(reinterpret_cast<std::byte*>(table.slots) + cache.slots() * table.stride,
                         more * table.stride)) {
      cache.Grow(cache.slots() + static_cast<uint32_t>(more));
      table.unused.resize(cache.slots());
    }
  }
  return cache.Take(row);
}

void RowStore::Read(RowTable& table, std::span<const uint32_t> rows, std::span<const uint32_t> slots) {
  std::vector<WantedRow> wanted;
  for (size_t i = 0; i < rows.size(); ++i) {
    wanted.push_back({table.origin.offset + rows[i] * table.row_bytes,
                      reinterpret_cast<std::byte*>(table.slots) + slots[i] * table.stride});
    pending_.push_back({&table, rows[i]});
  }
  reader_->Begin(*table.origin.file, table.row_bytes, std::move(wanted));
}

// Waits for what is being read. What did not arrive as a whole is forgotten.
Status RowStore::Settle() {
  if (pending_.empty()) return {};
  Status status = reader_->Wait();
  if (!status.ok()) {
    for (const Pending& pending : pending_) pending.table->cache.Forget(pending.row);
  }
  pending_.clear();
  return status;
}

// Where our own code throws (memory, mostly) some row may have a slot that nothing is read into: none is believed any
// more.
template <typename Work>
auto RowStore::OrForget(const Work& work) {
  try {
    return work();
  } catch (...) {
    Drop();
    throw;
  }
}

void RowStore::Foresee(std::span<const Lookup> lookups) {
  if (reader_ != nullptr) OrForget([&] { BeginReading(lookups); });
}

void RowStore::BeginReading(std::span<const Lookup> lookups) {
  static_cast<void>(Settle());
  for (RowTable& table : tables_) table.cache.Unpin();
  for (const Lookup& lookup : lookups) {
    if (!KnownBefore(api_, lookup) || !RowNumbers(lookup, rows_)) continue;
    RowTable& table = *lookup.table;
    std::vector<uint32_t> rows, slots;
    for (const uint32_t row : rows_) {
      if (table.cache.Pin(row)) continue;
      const uint32_t slot = Take(table, row);
      if (slot == RowCache::kNone) break;
      table.unused[slot] = true;
      rows.push_back(row);
      slots.push_back(slot);
    }
    Read(table, rows, slots);
  }
}

Status RowStore::LookUp(const Lookup& lookup, ggml_backend_t backend, PassTimes& times) {
  if (lookup.table->slots == nullptr || !RowNumbers(lookup, rows_)) {
    const uint64_t start = Now();
    const ggml_status status = gather_.FromMapping(backend, lookup);
    times.kernel_ns += Now() - start;
    return CheckLookup(status, *lookup.table);
  }
  return OrForget([&] { return LookUpPieces(lookup, backend, times); });
}

Status RowStore::LookUpPieces(const Lookup& lookup, ggml_backend_t backend, PassTimes& times) {
  RowTable& table = *lookup.table;
  const uint64_t start = Now();
  static_cast<void>(Settle());
  times.wait_ns += Now() - start;
  for (size_t first = 0; first < rows_.size(); first += slots_.size()) {
    HEADRACE_RETURN_IF_ERROR(Fetch(table, first, times));
    const uint64_t begin = Now();
    const ggml_status status =
        slots_.empty() ? gather_.FromMapping(backend, lookup) : gather_.FromSlots(backend, lookup, first, slots_);
    times.kernel_ns += Now() - begin;
    HEADRACE_RETURN_IF_ERROR(CheckLookup(status, table));
    if (slots_.empty()) return {};  // there was no room for one row: all of it came from the mapping
  }
  return {};
}

// Brings rows from the first on into memory, as many as there is room for at once.
Status RowStore::Fetch(RowTable& table, size_t first, PassTimes& times) {
  slots_.clear();
  table.cache.Unpin();
  std::vector<uint32_t> rows, slots;
  for (size_t i = first; i < rows_.size(); ++i) {
    uint32_t slot = table.cache.Use(rows_[i]);
    bool hit = slot != RowCache::kNone;
    if (hit && table.unused[slot]) {
      hit = table.unused[slot] = false;
    } else if (!hit) {
      slot = Take(table, rows_[i]);
      if (slot == RowCache::kNone) break;
      table.unused[slot] = false;
      rows.push_back(rows_[i]);
      slots.push_back(slot);
    }
    slots_.push_back(static_cast<int32_t>(slot));
    ++looked_up_;
    hits_ += hit;
  }
  if (rows.empty()) return {};
  const uint64_t start = Now();
  Read(table, rows, slots);
  const Status status = Settle();
  times.wait_ns += Now() - start;
  return status;
}

uint64_t RowStore::bytes_read() const { return bytes_read_ + (reader_ == nullptr ? 0 : reader_->bytes_read()); }

}  // namespace headrace
