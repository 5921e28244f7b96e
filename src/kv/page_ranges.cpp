#include "kv/page_ranges.h"

#include <algorithm>

#include "base/size.h"

namespace headrace {

uint64_t BytesOf(const PageRanges& ranges) {
  uint64_t bytes = 0;
  for (const PageRange& range : ranges) bytes += range.bytes();
  return bytes;
}

void AddPages(PageRanges& ranges, uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  PageRange added{AlignDown(begin, PageBytes()), AlignUp(end, PageBytes())};
  // Those that it overlaps or touches become one with it.
  const auto first = std::lower_bound(ranges.begin(), ranges.end(), added.begin,
                                      [](const PageRange& range, uint64_t value) { return range.end < value; });
  auto last = first;
  for (; last != ranges.end() && last->begin <= added.end; ++last) {
    added.begin = std::min(added.begin, last->begin);
    added.end = std::max(added.end, last->end);
  }
  ranges.insert(ranges.erase(first, last), added);
}

PageRanges KeptPages(const PageRanges& ranges, double share) {
  PageRanges kept;
  double owed = 0;  // pages; what rounding took from the ranges before goes to the next
  for (const PageRange& range : ranges) {
    owed += static_cast<double>(range.bytes() / PageBytes()) * std::clamp(share, 0.0, 1.0);
    const uint64_t bytes = std::min(static_cast<uint64_t>(owed) * PageBytes(), range.bytes());
    if (bytes == 0) continue;
    owed -= static_cast<double>(bytes / PageBytes());
    kept.push_back({range.end - bytes, range.end});
  }
  return kept;
}

bool Contains(const PageRanges& whole, const PageRanges& part) {
  return std::all_of(part.begin(), part.end(), [&](const PageRange& range) {
    return std::any_of(whole.begin(), whole.end(),
                       [&](const PageRange& w) { return w.begin <= range.begin && range.end <= w.end; });
  });
}

PageRanges Without(const PageRange& whole, const PageRanges& kept) {
  PageRanges rest;
  uint64_t at = whole.begin;
  for (const PageRange& range : kept) {
    if (at < range.begin) rest.push_back({at, range.begin});
    at = range.end;
  }
  if (at < whole.end) rest.push_back({at, whole.end});
  return rest;
}

}  // namespace headrace
