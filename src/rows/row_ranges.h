// Which pages of a file are read for some rows of a table that lies in it. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace headrace {

// A row of a table: where its bytes begin in the file, and where they are wanted.
struct WantedRow {
  uint64_t offset = 0;
  std::byte* destination = nullptr;
};

// One read of whole pages, with rows [first_row, first_row + rows) of those that were merged.
struct RowRead {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  size_t first_row = 0;
  size_t rows = 0;
};

// The most bytes that a read for one row of so many bytes can take, wherever it begins.
uint64_t RowSpanBytes(uint64_t row_bytes);

// The fewest reads for rows of `row_bytes` each, which come to lie in the order of the file: rows are read together
// where their pages touch or are at most `gap_bytes` apart, as long as that is at most `most_bytes` (RowSpanBytes or
// more). Where a disk takes hardly longer for two pages than for one, a page that nobody wants costs less than another
// read.
std::vector<RowRead> MergeRows(std::vector<WantedRow>& rows, uint64_t row_bytes, uint64_t most_bytes,
                               uint64_t gap_bytes);

}  // namespace headrace
