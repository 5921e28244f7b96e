#include "exec/mapping_table.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace headrace {
namespace {

const void* At(uint64_t address) { return reinterpret_cast<const void*>(address); }

TEST(MappingTable, FindsWithinOneMapping) {
  MappingTable table;
  table.Add(At(1000), 100, {nullptr, 5000, 3});
  const auto origin = table.Find(At(1010), 90);
  ASSERT_TRUE(origin.has_value());
  EXPECT_EQ(origin->offset, 5010u);
  EXPECT_EQ(origin->model, 3u);
  EXPECT_FALSE(table.Find(At(1010), 91).has_value());
  EXPECT_FALSE(table.Find(At(999), 1).has_value());
  EXPECT_FALSE(table.Find(At(1100), 1).has_value());
}

TEST(MappingTable, AHoleLeavesBothSides) {
  MappingTable table;
  table.Add(At(1000), 100, {nullptr, 0, 0});
  EXPECT_TRUE(table.Remove(At(1020), 30));
  EXPECT_FALSE(table.Remove(At(1020), 30));
  EXPECT_TRUE(table.Find(At(1000), 20).has_value());
  EXPECT_FALSE(table.Find(At(1000), 21).has_value());
  EXPECT_EQ(table.Find(At(1050), 50)->offset, 50u);
  EXPECT_TRUE(table.Overlaps(At(1010), 20));
  EXPECT_FALSE(table.Overlaps(At(1020), 30));
}

// Against the plainest model of itself: an array with one entry for each address.
TEST(MappingTable, AgreesWithANaiveModel) {
  constexpr uint64_t kBase = 4096, kSize = 200;
  struct Byte {
    int model = -1;
    uint64_t offset = 0;
    int added = 0;  // two neighbours are one mapping only if they came together
  };
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    MappingTable table;
    std::vector<Byte> naive(kSize);
    for (int step = 1; step < 40; ++step) {
      const uint64_t begin = random() % kSize, length = 1 + random() % (kSize - begin);
      if (random() % 2) {
        table.Add(At(kBase + begin), length, {nullptr, 7000 + begin, static_cast<uint32_t>(step)});
        for (uint64_t i = begin; i < begin + length; ++i) naive[i] = {step, 7000 + i, step};
      } else {
        table.Remove(At(kBase + begin), length);
        for (uint64_t i = begin; i < begin + length; ++i) naive[i] = {};
      }
      const uint64_t at = random() % kSize, bytes = 1 + random() % (kSize - at);
      bool one = true, any = false;
      for (uint64_t i = at; i < at + bytes; ++i) {
        one = one && naive[i].model >= 0 && naive[i].added == naive[at].added;
        any = any || naive[i].model >= 0;
      }
      const auto found = table.Find(At(kBase + at), bytes);
      if (one) {
        ASSERT_TRUE(found.has_value());
        ASSERT_EQ(found->offset, naive[at].offset);
      } else {
        ASSERT_FALSE(found.has_value());
      }
      ASSERT_EQ(table.Overlaps(At(kBase + at), bytes), any);
    }
  }
}

}  // namespace
}  // namespace headrace
