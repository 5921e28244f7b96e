#include "rows/row_memory.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/size.h"
#include "rows/row_ranges.h"

namespace headrace {
namespace {

TEST(RowMemory, NothingWithoutTablesOrNearTheFloor) {
  const std::vector<RowShape> tables = {{262144, 9520}, {262144, 2176}};
  EXPECT_EQ(RowMemoryBytes({}, kGiB, 0), 0u);
  EXPECT_EQ(RowMemoryBytes(tables, 8 * kMiB, 8 * kMiB), 0u);
  EXPECT_EQ(RowMemoryBytes(tables, 8 * kMiB, 9 * kMiB), 0u);
  EXPECT_EQ(RowMemoryBytes(tables, 256 * kKiB, 0), 0u) << "a large part of a small budget";
  EXPECT_GT(RowMemoryBytes(tables, 8 * kMiB, 4 * kMiB), 0u);
}

TEST(RowMemory, GrowsWithTheBudgetToAMost) {
  const std::vector<RowShape> tables = {{262144, 9520}, {262144, 9520}};
  uint64_t last = 0;
  for (uint64_t limit = 8 * kMiB; limit <= 64 * kGiB; limit *= 2) {
    const uint64_t bytes = RowMemoryBytes(tables, limit, 0);
    EXPECT_GE(bytes, last);
    EXPECT_LE(bytes, std::max<uint64_t>(limit / 32, kMiB));
    last = bytes;
  }
  EXPECT_EQ(last, 32 * kMiB);
  EXPECT_EQ(RowMemoryBytes(tables, UINT64_MAX, 0), 32 * kMiB);
  const std::vector<RowShape> small = {{128, 400}};
  EXPECT_LT(RowMemoryBytes(small, 64 * kGiB, 0), 3 * kMiB) << "not more than the table";
}

TEST(RowMemory, APlanFitsInItsBytesAndHasRoomForAnyRow) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 1000; ++round) {
    std::vector<RowShape> tables;
    for (uint64_t i = random() % 4 + 1; i > 0; --i)
      tables.push_back({1 + random() % 1000000, 1 + random() % (uint64_t{1} << (random() % 17))});
    const uint64_t limit = kMiB << (random() % 14);
    const uint64_t bytes = RowMemoryBytes(tables, limit, random() % limit);
    if (bytes == 0) continue;
    const RowMemoryPlan plan = PlanRowMemory(tables, bytes);
    ASSERT_GE(plan.depth, 1u);
    ASSERT_GE(plan.slots, 1u);
    ASSERT_EQ(plan.buffer_bytes % kReadAlignment, 0u);
    uint64_t used = plan.buffers_bytes();
    for (const RowShape& table : tables) {
      ASSERT_GE(plan.buffer_bytes, RowSpanBytes(table.row_bytes));
      ASSERT_GE(SlotStride(table.row_bytes), table.row_bytes);
      used += AlignUp(SlotStride(table.row_bytes) * plan.slots, PageBytes());
    }
    ASSERT_LE(used, bytes);
  }
}

}  // namespace
}  // namespace headrace
