// Sets of whole pages of a file, and which of them stay in memory when not all of them can. Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace headrace {

// Bytes [begin, end) of a file; both are multiples of PageBytes().
struct PageRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t bytes() const { return end - begin; }
  friend bool operator==(const PageRange&, const PageRange&) = default;
};

// In ascending order, not empty, neither overlapping nor touching.
using PageRanges = std::vector<PageRange>;

uint64_t BytesOf(const PageRanges& ranges);

// Adds all pages that bytes [begin, end) touch.
void AddPages(PageRanges& ranges, uint64_t begin, uint64_t end);

// The pages that stay: about `share` (0 to 1) of each range, never more than that of all. It is the end of a
// range that stays: new tokens are written there, so a page is seldom written to the file more than once.
PageRanges KeptPages(const PageRanges& ranges, double share);

// Whether all pages of `part` are in `whole`.
bool Contains(const PageRanges& whole, const PageRanges& part);

// `whole` without `kept`, which lies in it.
PageRanges Without(const PageRange& whole, const PageRanges& kept);

}  // namespace headrace
