#include "experts/slot_division.h"

#include <gtest/gtest.h>

#include <random>

namespace headrace {
namespace {

uint64_t BytesOf(const std::vector<SlotClassNeed>& needs, const std::vector<uint32_t>& slots) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < needs.size(); ++i) bytes += slots[i] * needs[i].slot_bytes;
  return bytes;
}

TEST(SlotDivision, WhatIsNotKnownIsDividedByBytes) {
  const std::vector<SlotClassNeed> needs = {{10, 100, 0, {}}, {30, 100, 0, {}}};
  EXPECT_EQ(DivideSlots(needs, 2000), (std::vector<uint32_t>{50, 50}));
  EXPECT_EQ(DivideSlots(needs, 4000), (std::vector<uint32_t>{100, 100}));
  EXPECT_EQ(DivideSlots(needs, 5000), (std::vector<uint32_t>{100, 100}));
  EXPECT_EQ(DivideSlots(needs, 0), (std::vector<uint32_t>{0, 0}));
}

TEST(SlotDivision, EachSizeHasWhatItNeedsAtOnce) {
  const std::vector<SlotClassNeed> needs = {{10, 1000, 8, std::vector<double>(500, 1.0)}, {30, 16, 8, {0.1}}};
  const auto slots = DivideSlots(needs, 1000);
  EXPECT_EQ(slots[1], 8u);
  EXPECT_EQ(slots[0], 76u);
  EXPECT_EQ(DivideSlots(needs, 160), (std::vector<uint32_t>{4, 4})) << "all have half of it";
}

TEST(SlotDivision, TheHottestHaveTheRestWhateverTheirSize) {
  const std::vector<SlotClassNeed> needs = {{10, 100, 2, {0.9, 0.8, 0.3, 0.2}}, {30, 100, 2, {0.7, 0.6, 0.5, 0.4}}};
  EXPECT_EQ(DivideSlots(needs, 140), (std::vector<uint32_t>{2, 4})) << "the hottest two of each, then 0.5 and 0.4";
  EXPECT_EQ(DivideSlots(needs, 150), (std::vector<uint32_t>{3, 4}));
}

TEST(SlotDivision, UsesAllMemoryAndNoMore) {
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    std::vector<SlotClassNeed> needs(1 + random() % 4);
    uint64_t all = 0;
    for (SlotClassNeed& need : needs) {
      need = {1 + random() % 50, 1 + static_cast<uint32_t>(random() % 60), static_cast<uint32_t>(random() % 10), {}};
      need.heats.resize(random() % (need.most + 1));
      for (double& heat : need.heats) heat = 1 + static_cast<double>(random() % 100);
      all += need.most * need.slot_bytes;
    }
    const uint64_t bytes = random() % (all + 20);
    const auto slots = DivideSlots(needs, bytes);
    ASSERT_LE(BytesOf(needs, slots), bytes);
    for (size_t c = 0; c < needs.size(); ++c) {
      ASSERT_LE(slots[c], needs[c].most);
      ASSERT_TRUE(slots[c] == needs[c].most || bytes - BytesOf(needs, slots) < needs[c].slot_bytes);
    }
  }
}

TEST(SlotDivision, MovesOnlyWhatIsWorthIt) {
  const std::vector<SlotClassNeed> needs = {{10, 1000, 8, {}}, {30, 1000, 8, {}}};
  EXPECT_FALSE(ShouldMoveSlots(needs, {100, 100}, {105, 98}));
  EXPECT_FALSE(ShouldMoveSlots(needs, {100, 100}, {100, 100}));
  EXPECT_TRUE(ShouldMoveSlots(needs, {100, 100}, {130, 90}));
  EXPECT_TRUE(ShouldMoveSlots(needs, {100, 7}, {97, 8})) << "it lacks what it needs at once";
}

}  // namespace
}  // namespace headrace
