#include "kv/page_ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/size.h"

namespace headrace {
namespace {

std::set<uint64_t> PagesOf(const PageRanges& ranges) {
  std::set<uint64_t> pages;
  uint64_t before = 0;
  bool first = true;
  for (const PageRange& range : ranges) {
    EXPECT_LT(range.begin, range.end);
    EXPECT_EQ(range.begin % PageBytes() + range.end % PageBytes(), 0u);
    EXPECT_TRUE(first || range.begin > before) << "ranges overlap or touch";
    first = false;
    before = range.end;
    for (uint64_t at = range.begin; at < range.end; at += PageBytes()) pages.insert(at / PageBytes());
  }
  return pages;
}

TEST(PageRanges, AddingEqualsASetOfPages) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    PageRanges ranges;
    std::set<uint64_t> expected;
    for (int i = 0; i < 20; ++i) {
      const uint64_t begin = random() % (200 * PageBytes()), bytes = random() % (8 * PageBytes());
      AddPages(ranges, begin, begin + bytes);
      if (bytes == 0) continue;
      for (uint64_t page = begin / PageBytes(); page <= (begin + bytes - 1) / PageBytes(); ++page)
        expected.insert(page);
    }
    ASSERT_EQ(PagesOf(ranges), expected);
    ASSERT_EQ(BytesOf(ranges), expected.size() * PageBytes());
  }
}

TEST(PageRanges, TheEndOfEachRangeStays) {
  const PageRanges ranges = {{0, 100 * PageBytes()}, {200 * PageBytes(), 300 * PageBytes()}};
  EXPECT_EQ(KeptPages(ranges, 0.25),
            (PageRanges{{75 * PageBytes(), 100 * PageBytes()}, {275 * PageBytes(), 300 * PageBytes()}}));
  EXPECT_EQ(KeptPages(ranges, 1), ranges);
  EXPECT_EQ(KeptPages(ranges, 7), ranges);
  EXPECT_TRUE(KeptPages(ranges, 0).empty());
  EXPECT_TRUE(KeptPages(ranges, -1).empty());
}

// Rows of a transposed tensor are single pages: rounding must neither keep all of them nor none.
TEST(PageRanges, RoundingIsSpreadOverSmallRanges) {
  PageRanges ranges;
  for (uint64_t i = 0; i < 1000; ++i) ranges.push_back({2 * i * PageBytes(), (2 * i + 1) * PageBytes()});
  for (const double share : {0.1, 0.3, 0.5, 0.9}) {
    const auto kept = static_cast<double>(BytesOf(KeptPages(ranges, share)) / PageBytes());
    EXPECT_LE(kept, 1000 * share);
    EXPECT_GE(kept, 1000 * share - 1);
  }
}

TEST(PageRanges, ContainsEqualsSetsOfPages) {
  std::mt19937_64 random(3);
  const auto some = [&](int count) {
    PageRanges ranges;
    for (int i = 0; i < count; ++i) {
      const uint64_t begin = random() % 12 * PageBytes();
      AddPages(ranges, begin, begin + 1 + random() % (4 * PageBytes()));
    }
    return ranges;
  };
  int contained = 0;
  for (int i = 0; i < 2000; ++i) {
    const PageRanges whole = some(4), part = some(1 + i % 2);
    const auto all = PagesOf(whole), of_part = PagesOf(part);
    const bool expected = std::includes(all.begin(), all.end(), of_part.begin(), of_part.end());
    ASSERT_EQ(Contains(whole, part), expected);
    contained += expected ? 1 : 0;
  }
  EXPECT_GT(contained, 100);
  EXPECT_TRUE(Contains({}, {}));
}

TEST(PageRanges, WithoutIsTheRest) {
  std::mt19937 random(2);
  for (int round = 0; round < 200; ++round) {
    const PageRange whole{10 * PageBytes(), 110 * PageBytes()};
    PageRanges kept;
    for (int i = 0; i < 5; ++i) {
      const uint64_t begin = whole.begin + random() % whole.bytes();
      AddPages(kept, begin, std::min(whole.end, begin + random() % (20 * PageBytes())));
    }
    std::set<uint64_t> expected;
    for (uint64_t page = 10; page < 110; ++page) expected.insert(page);
    for (const uint64_t page : PagesOf(kept)) expected.erase(page);
    ASSERT_EQ(PagesOf(Without(whole, kept)), expected);
  }
}

}  // namespace
}  // namespace headrace
