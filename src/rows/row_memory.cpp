#include "rows/row_memory.h"

#include <algorithm>

#include "base/size.h"
#include "rows/row_ranges.h"

namespace headrace {
namespace {

constexpr uint64_t kPart = 64;
// Of a prompt of 2048 tokens all rows, of up to 14 KiB: each byte more would be one less for weights that every token
// uses.
constexpr uint64_t kMostRows = 2048, kMostBytes = 32 * kMiB;
// From so many reads at a time on a disk gives no more of them in a second (docs/benchmarks.md).
constexpr uint32_t kMostDepth = 64, kLeastDepth = 4;
// Neighbours are read together up to this.
constexpr uint64_t kBufferBytes = 32 * kKiB;
constexpr uint64_t kLeastSlots = 8;

uint64_t SpanOfWidest(std::span<const RowShape> tables) {
  uint64_t widest = 0;
  for (const RowShape& table : tables) widest = std::max(widest, RowSpanBytes(table.row_bytes));
  return widest;
}

uint64_t SlotsOfAll(std::span<const RowShape> tables) {
  uint64_t bytes = 0;
  for (const RowShape& table : tables) bytes += SlotStride(table.row_bytes);
  return bytes;
}

// Each table begins in a page of its own.
uint64_t PlaceBytes(std::span<const RowShape> tables, uint64_t slots) {
  return slots * SlotsOfAll(tables) + tables.size() * PageBytes();
}

}  // namespace

uint64_t SlotStride(uint64_t row_bytes) { return AlignUp(row_bytes, 64); }

uint64_t RowMemoryBytes(std::span<const RowShape> tables, uint64_t limit_bytes, uint64_t floor_bytes) {
  if (tables.empty()) return 0;
  const uint64_t least =
      AlignUp(kLeastDepth * SpanOfWidest(tables), PageBytes()) + AlignUp(PlaceBytes(tables, kLeastSlots), PageBytes());
  uint64_t rows = 0;
  for (const RowShape& table : tables) rows = std::max(rows, table.rows);
  const uint64_t most =
      std::max(least, std::min(kMostBytes, kMostDepth * kBufferBytes + PlaceBytes(tables, std::min(rows, kMostRows))));
  const uint64_t wanted = AlignUp(std::clamp(limit_bytes / kPart, least, most), PageBytes());
  // Near the floor every byte is needed elsewhere.
  return limit_bytes < floor_bytes || limit_bytes - floor_bytes < wanted || limit_bytes / 8 < wanted ? 0 : wanted;
}

RowMemoryPlan PlanRowMemory(std::span<const RowShape> tables, uint64_t bytes) {
  RowMemoryPlan plan;
  if (tables.empty() || bytes == 0) return plan;
  const uint64_t span = SpanOfWidest(tables);
  // Whole pages of a quarter, less the page that each table begins.
  const uint64_t part = AlignDown((bytes - std::min(bytes, tables.size() * PageBytes())) / 4, PageBytes());
  plan.buffer_bytes = part >= 8 * kBufferBytes ? std::max(span, kBufferBytes) : span;
  plan.depth = static_cast<uint32_t>(std::clamp<uint64_t>(part / plan.buffer_bytes, kLeastDepth, kMostDepth));
  const uint64_t fixed = plan.buffers_bytes() + tables.size() * PageBytes();
  plan.slots = bytes <= fixed ? 0 : (bytes - fixed) / SlotsOfAll(tables);
  return plan;
}

}  // namespace headrace
