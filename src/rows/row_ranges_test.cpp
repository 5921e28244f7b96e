#include "rows/row_ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/size.h"

namespace headrace {
namespace {

std::vector<WantedRow> At(std::initializer_list<uint64_t> offsets) {
  std::vector<WantedRow> rows;
  for (const uint64_t offset : offsets) rows.push_back({offset, nullptr});
  return rows;
}

TEST(RowRanges, RowsOfOnePageAreOneRead) {
  auto rows = At({8000, 4096, 5000});
  const auto reads = MergeRows(rows, 100, 64 * kKiB, 0);
  ASSERT_EQ(reads.size(), 1u);
  EXPECT_EQ(reads[0].offset, 4096u);
  EXPECT_EQ(reads[0].bytes, kReadAlignment);
  EXPECT_EQ(reads[0].rows, 3u);
  EXPECT_EQ(rows[0].offset, 4096u) << "in the order of the file";
}

TEST(RowRanges, AGapIsReadWhenItIsSmall) {
  for (const auto& [gap, reads] : {std::pair<uint64_t, size_t>{0, 2}, {kReadAlignment, 1}}) {
    auto rows = At({0, 2 * kReadAlignment});
    EXPECT_EQ(MergeRows(rows, 100, 64 * kKiB, gap).size(), reads) << gap;
  }
  auto touching = At({0, kReadAlignment});
  EXPECT_EQ(MergeRows(touching, 100, 64 * kKiB, 0).size(), 1u);
}

TEST(RowRanges, NoReadIsLongerThanABuffer) {
  auto rows = At({0, kReadAlignment, 2 * kReadAlignment, 3 * kReadAlignment});
  const auto reads = MergeRows(rows, kReadAlignment, 2 * kReadAlignment, kReadAlignment);
  ASSERT_EQ(reads.size(), 2u);
  EXPECT_EQ(reads[1].offset, 2 * kReadAlignment);
  EXPECT_EQ(reads[1].bytes, 2 * kReadAlignment);
}

// Every row lies in its read as a whole, no read is longer than it may be, each row is in one read.
TEST(RowRanges, AnyRows) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    const uint64_t row_bytes = 1 + random() % 20000, first = random() % 9000,
                   most = RowSpanBytes(row_bytes) + random() % 4 * kReadAlignment;
    const uint64_t gap = random() % 3 * kReadAlignment;
    std::set<uint64_t> numbers;
    for (uint64_t i = random() % 60 + 1; i > 0; --i) numbers.insert(random() % 200);
    std::vector<WantedRow> rows;
    for (const uint64_t number : numbers)
      rows.push_back({first + number * row_bytes, reinterpret_cast<std::byte*>(number)});
    std::shuffle(rows.begin(), rows.end(), random);
    const auto reads = MergeRows(rows, row_bytes, most, gap);
    ASSERT_EQ(rows.size(), numbers.size());
    size_t next = 0;
    for (size_t i = 0; i < reads.size(); ++i) {
      const RowRead& read = reads[i];
      ASSERT_EQ(read.first_row, next);
      ASSERT_EQ(read.offset % kReadAlignment, 0u);
      ASSERT_EQ(read.bytes % kReadAlignment, 0u);
      ASSERT_LE(read.bytes, most);
      for (; next < read.first_row + read.rows; ++next) {
        ASSERT_GE(rows[next].offset, read.offset);
        ASSERT_LE(rows[next].offset + row_bytes, read.offset + read.bytes);
        ASSERT_EQ(rows[next].offset, first + reinterpret_cast<uint64_t>(rows[next].destination) * row_bytes)
            << "the destination went to another row";
      }
    }
    ASSERT_EQ(next, rows.size());
  }
}

}  // namespace
}  // namespace headrace
