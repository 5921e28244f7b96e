// How much memory rows of tables get, and what it is used for. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "base/size.h"

namespace headrace {

// A table of which rows are looked up.
struct RowShape {
  uint64_t rows = 0;
  uint64_t row_bytes = 0;
  friend bool operator==(const RowShape&, const RowShape&) = default;
};

// Bytes for rows out of `limit_bytes` for all weights, of which those that are multiplied need `floor_bytes` at least.
// 0: too little is left, the mapping serves. A sixty-fourth: text repeats so few tokens that more memory gains hardly
// any hits, and each byte is one less for weights that every token uses.
uint64_t RowMemoryBytes(std::span<const RowShape> tables, uint64_t limit_bytes, uint64_t floor_bytes);

struct RowMemoryPlan {
  uint32_t depth = 0;         // reads at a time, each with a buffer
  uint64_t buffer_bytes = 0;  // whole pages; any row fits
  uint64_t slots = 0;         // of each table: all are asked for rows of the same tokens

  uint64_t buffers_bytes() const { return AlignUp(depth * buffer_bytes, PageBytes()); }
};

// Bytes from one slot of a table to the next.
uint64_t SlotStride(uint64_t row_bytes);
// How so many bytes, which RowMemoryBytes gave, are divided.
RowMemoryPlan PlanRowMemory(std::span<const RowShape> tables, uint64_t bytes);

}  // namespace headrace
