#include "rows/row_ranges.h"

#include <algorithm>

#include "base/size.h"

namespace headrace {

uint64_t RowSpanBytes(uint64_t row_bytes) { return AlignUp(row_bytes, kReadAlignment) + kReadAlignment; }

std::vector<RowRead> MergeRows(std::vector<WantedRow>& rows, uint64_t row_bytes, uint64_t most_bytes,
                               uint64_t gap_bytes) {
  std::sort(rows.begin(), rows.end(), [](const WantedRow& a, const WantedRow& b) { return a.offset < b.offset; });
  std::vector<RowRead> reads;
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint64_t begin = AlignDown(rows[i].offset, kReadAlignment),
                   end = AlignUp(rows[i].offset + row_bytes, kReadAlignment);
    if (!reads.empty()) {
      RowRead& last = reads.back();
      const uint64_t last_end = last.offset + last.bytes;
      if (begin <= last_end + gap_bytes && std::max(end, last_end) - last.offset <= most_bytes) {
        last.bytes = std::max(end, last_end) - last.offset;
        ++last.rows;
        continue;
      }
    }
    reads.push_back({begin, end - begin, i, 1});
  }
  return reads;
}

}  // namespace headrace
