#include "rows/row_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace headrace {
namespace {

// As a lookup does it: what is absent gets a slot.
bool Hit(RowCache& cache, uint32_t row) {
  cache.Unpin();
  if (cache.Use(row) != RowCache::kNone) return true;
  EXPECT_NE(cache.Take(row), RowCache::kNone);
  return false;
}

TEST(RowCache, ARowKeepsItsSlot) {
  RowCache cache;
  EXPECT_EQ(cache.Take(5), RowCache::kNone) << "there are no slots";
  cache.Grow(2);
  const uint32_t slot = cache.Take(5);
  EXPECT_FALSE(cache.full());
  EXPECT_NE(cache.Take(9), slot);
  EXPECT_TRUE(cache.full());
  EXPECT_EQ(cache.Use(5), slot);
  EXPECT_EQ(cache.Use(6), RowCache::kNone);
}

TEST(RowCache, PinnedRowsStay) {
  RowCache cache;
  cache.Grow(2);
  const uint32_t first = cache.Take(1);
  cache.Take(2);
  EXPECT_EQ(cache.Take(3), RowCache::kNone);
  cache.Unpin();
  EXPECT_TRUE(cache.Pin(2));
  EXPECT_FALSE(cache.Pin(3));
  EXPECT_EQ(cache.Take(3), first);
  EXPECT_EQ(cache.Take(4), RowCache::kNone);
  EXPECT_EQ(cache.Use(1), RowCache::kNone);
}

TEST(RowCache, AForgottenRowIsNotInMemory) {
  RowCache cache;
  cache.Grow(1);
  const uint32_t slot = cache.Take(1);
  cache.Forget(1);
  cache.Forget(2);
  EXPECT_EQ(cache.Use(1), RowCache::kNone);
  EXPECT_EQ(cache.Take(2), slot) << "a free slot, though the round goes on";
}

// Rows that come back stay while many others come once.
TEST(RowCache, AScanDoesNotDriveOutWhatIsUsedAgain) {
  RowCache cache;
  cache.Grow(100);
  for (int round = 0; round < 4; ++round) {
    for (uint32_t row = 0; row < 20; ++row) Hit(cache, row);
  }
  for (uint32_t row = 1000; row < 1160; ++row) Hit(cache, row);
  uint32_t kept = 0;
  for (uint32_t row = 0; row < 20; ++row) kept += cache.Use(row) != RowCache::kNone;
  EXPECT_EQ(kept, 20u);
  for (uint32_t row = 2000; row < 3000; ++row) Hit(cache, row);
  kept = 0;
  for (uint32_t row = 0; row < 20; ++row) kept += cache.Use(row) != RowCache::kNone;
  EXPECT_EQ(kept, 0u) << "what is not used any more goes in the end";
}

// Tokens as text has them (Zipf): at least as many hits as with the least recently used one going.
TEST(RowCache, TextHitsAsOftenAsWithTheOldestGoing) {
  std::mt19937 random(3);
  std::vector<double> weights;
  for (int i = 1; i <= 20000; ++i) weights.push_back(1.0 / i);
  std::discrete_distribution<uint32_t> text(weights.begin(), weights.end());
  RowCache cache;
  cache.Grow(300);
  std::map<uint32_t, int> last;  // the other one: when a row was used
  std::map<int, uint32_t> by_time;
  int hits = 0, others = 0;
  for (int i = 0; i < 60000; ++i) {
    const uint32_t row = text(random);
    hits += Hit(cache, row);
    if (const auto found = last.find(row); found != last.end()) {
      ++others;
      by_time.erase(found->second);
    } else if (last.size() == 300) {
      last.erase(by_time.begin()->second);
      by_time.erase(by_time.begin());
    }
    last[row] = i;
    by_time[i] = row;
  }
  EXPECT_GT(hits, others);
  EXPECT_GT(hits, 60000 / 3);
}

// Against a plain map: a row is found where it was put last, and no two share a slot.
TEST(RowCache, AnyUse) {
  std::mt19937 random(1);
  RowCache cache;
  std::map<uint32_t, uint32_t> slot_of;  // as Take said
  for (int step = 0; step < 20000; ++step) {
    const uint32_t row = random() % 60, what = random() % 20;
    if (what == 0) cache.Unpin();
    if (what == 1 && cache.slots() < 24) cache.Grow(cache.slots() + 1);
    if (what == 2) {
      cache.Forget(row);
      slot_of.erase(row);
    }
    uint32_t slot = cache.Use(row);
    if (slot != RowCache::kNone) {
      ASSERT_EQ(slot_of.at(row), slot);
      continue;
    }
    slot = cache.Take(row);
    if (slot == RowCache::kNone) continue;
    ASSERT_LT(slot, cache.slots());
    std::erase_if(slot_of, [&](const auto& other) { return other.second == slot; });
    slot_of[row] = slot;
  }
}

}  // namespace
}  // namespace headrace
