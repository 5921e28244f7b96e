#include <optional>
#include <random>
#include <span>
#include <vector>

#include "experts/expert_cache_test.h"

namespace headrace {
namespace {

TEST_F(ExpertCacheTest, LateAndReorderedReadsArriveAll) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "short=4K,delay_us=100,reorder=1"));
  auto pins = cache_->Demand(1, {{0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}});
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 1));
}

TEST_F(ExpertCacheTest, ReadsAheadIntoFreeSlotsOnly) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(4)));
  {
    auto present = cache_->Demand(0, {{0u}});
    ASSERT_TRUE(present.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*present, 0));
  }
  const ExpertName names[] = {{0, 0}, {0, 3}, {1, 3}, {0, 4}, {1, 5}};
  EXPECT_EQ(cache_->Prefetch(names), 3u);  // one is there already, and for the last there is no room
  EXPECT_TRUE(cache_->Holds(0, 0) && cache_->Holds(0, 3) && cache_->Holds(1, 3) && cache_->Holds(0, 4));
  EXPECT_FALSE(cache_->Holds(1, 5));
  AwaitReady(names[3]);
  const uint64_t read = cache_->bytes_read();
  auto pins = cache_->Demand(0, {{0u, 3u, 4u}});
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  EXPECT_EQ(cache_->bytes_read(), read);
  EXPECT_EQ(cache_->ready_bytes(), 4 * layers_[0].SlotBytes());
}

TEST_F(ExpertCacheTest, ReadsAheadInThePlaceOfColderExpertsWhenToldTo) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(3)));
  for (const uint32_t expert : {0, 1, 2}) {
    cache_->Touch(0, expert, expert + 1);
    auto pins = cache_->Demand(0, {{expert}});
    ASSERT_TRUE(pins.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  }
  auto pinned = cache_->Demand(0, {{0u}});  // the coldest, but in use
  ASSERT_TRUE(pinned.ok());
  cache_->Touch(1, 6, 9);
  const ExpertName names[] = {{1, 6}, {1, 7}};
  EXPECT_EQ(cache_->Prefetch(names), 0u);
  EXPECT_EQ(cache_->Prefetch(std::span(names).first(1), ExpertCache::Into::kColdestToo), 1u);
  EXPECT_TRUE(cache_->Holds(0, 0) && cache_->Holds(0, 2) && cache_->Holds(1, 6));
  EXPECT_FALSE(cache_->Holds(0, 1));
}

// All are colder than what the cache holds, but for one that is held and the coldest of all.
TEST_F(ExpertCacheTest, WhatIsReadAheadTogetherMakesNoRoomForEachOther) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(5)));
  for (const uint32_t expert : {0, 1, 2, 3, 4}) {
    cache_->Touch(0, expert, expert + 1);
    auto pins = cache_->Demand(0, {{expert}});
    ASSERT_TRUE(pins.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  }
  const ExpertName names[] = {{1, 5}, {1, 6}, {0, 0}, {1, 7}};
  EXPECT_EQ(cache_->Prefetch(names, ExpertCache::Into::kColdestToo), 3u);
  for (const ExpertName& name : names) EXPECT_TRUE(cache_->Holds(name.layer, name.expert)) << name.expert;
  EXPECT_TRUE(cache_->Holds(0, 4));
  for (const ExpertName& name : names) AwaitReady(name);
  const uint64_t read = cache_->bytes_read();
  auto pins = cache_->Demand(1, {{5u, 6u, 7u}});
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 1));
  EXPECT_EQ(cache_->bytes_read(), read);
  pins->Release();
  pins = cache_->Demand(1, {{0u, 1u, 2u, 3u, 4u}});  // nothing stays pinned
  ASSERT_TRUE(pins.ok());
}

// Each expert here has three slices of one read each.
TEST_F(ExpertCacheTest, WhatIsDemandedIsReadBeforeWhatIsReadAhead) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "", true));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}};
  EXPECT_EQ(cache_->Prefetch(names), 4u);
  gate_->Begun(2);
  auto later = cache_->Demand(1, {{5u, 6u}});
  auto ahead = cache_->Demand(0, {{0u, 3u}});  // of which two slices are being read
  ASSERT_TRUE(later.ok() && ahead.ok());
  EXPECT_EQ(gate_->Begun(2), Pages({{0, 0, 0}, {0, 0, 1}})) << "more at once than may be read ahead";
  gate_->Open();
  ASSERT_NO_FATAL_FAILURE(CheckAll(*later, 1));
  ASSERT_NO_FATAL_FAILURE(CheckAll(*ahead, 0));
  EXPECT_EQ(gate_->Begun(18), Pages({{0, 0, 0},
                                     {0, 0, 1},
                                     {1, 5, 0},
                                     {1, 6, 0},
                                     {1, 5, 1},
                                     {1, 6, 1},
                                     {1, 5, 2},
                                     {1, 6, 2},
                                     {0, 3, 0},
                                     {0, 3, 1},
                                     {0, 0, 2},
                                     {0, 3, 2},
                                     {0, 1, 0},
                                     {0, 1, 1},
                                     {0, 1, 2},
                                     {0, 2, 0},
                                     {0, 2, 1},
                                     {0, 2, 2}}));
}

TEST_F(ExpertCacheTest, WhatIsPinnedAsHeldIsReadFirstToo) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "", true));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}};
  EXPECT_EQ(cache_->Prefetch(names), 3u);
  gate_->Begun(2);
  EXPECT_FALSE(cache_->Ready(0, 2));
  auto held = cache_->PinHeld(0, {{2u, 5u}});
  ASSERT_EQ(held.size(), 1u);
  gate_->Open();
  ASSERT_NO_FATAL_FAILURE(CheckAll(held, 0));
  EXPECT_TRUE(cache_->Ready(0, 2));
  const std::vector<uint64_t> first = Pages({{0, 0, 0}, {0, 0, 1}, {0, 2, 0}, {0, 2, 1}, {0, 2, 2}});
  auto begun = gate_->Begun(first.size());
  begun.resize(first.size());
  EXPECT_EQ(begun, first);
}

TEST_F(ExpertCacheTest, WhatWaitsToBeReadAheadMakesRoom) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(3), "", true));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}};
  EXPECT_EQ(cache_->Prefetch(names), 3u);
  gate_->Begun(2);
  auto pins = cache_->Demand(1, {{5u, 6u}});  // the gate is closed: nothing has been read
  ASSERT_TRUE(pins.ok());
  EXPECT_TRUE(cache_->Holds(0, 0));
  EXPECT_FALSE(cache_->Holds(0, 1) || cache_->Holds(0, 2));
  gate_->Open();
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 1));
  pins->Release();
  pins = cache_->Demand(1, {{0u, 1u, 2u}});  // all slots, one of which may still be read into
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 1));
}

TEST_F(ExpertCacheTest, WhatIsNotBeingReadAheadYetCanBeDropped) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "", true));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}};
  EXPECT_EQ(cache_->Prefetch(names), 3u);
  gate_->Begun(2);
  cache_->DropPrefetches();
  EXPECT_TRUE(cache_->Holds(0, 0));
  EXPECT_FALSE(cache_->Holds(0, 1) || cache_->Holds(0, 2));
  EXPECT_EQ(cache_->free_slots(0), 7u);
  gate_->Open();
  AwaitReady(names[0]);
}

TEST_F(ExpertCacheTest, AFailedReadIsAnErrorAndNeverUsed) {
  // Slice 1 of expert 2 in layer 0, three times: as often as one read is tried.
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(5), "range=364544-385024,times=3,errno=EIO"));
  std::optional<ExpertCache::Pins> pins;
  {
    auto demanded = cache_->Demand(0, {{2u, 5u}});
    ASSERT_TRUE(demanded.ok());
    const size_t both[] = {0, 1};
    Status status;
    for (int i = 0; i < 100 && status.ok(); ++i) status = demanded->WaitForAny(1, std::span(both).first(1));
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.message().find(file_->path()), std::string::npos) << status.message();
    EXPECT_EQ(demanded->data(0, 1), nullptr);
    EXPECT_GE(reads_->reads_failed(), 1u);
  }
  auto again = cache_->Demand(0, {{2u, 5u}});  // the disk has recovered
  ASSERT_TRUE(again.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*again, 0));
}

// Slice 1 of expert 2 in layer 0 fails as often as one read is tried.
TEST_F(ExpertCacheTest, AFailedReadAheadIsForgotten) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(5), "range=364544-385024,times=3,errno=EIO"));
  const ExpertName names[] = {{0, 2}, {0, 7}};
  EXPECT_EQ(cache_->Prefetch(names), 2u);
  AwaitReady(names[1]);
  while (cache_->Holds(0, 2) || cache_->free_slots(0) != 4) std::this_thread::yield();
  EXPECT_EQ(reads_->reads_failed(), 1u);
  auto pins = cache_->Demand(0, {{2u, 7u}});
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
}

TEST_F(ExpertCacheTest, AFailedReadAheadFailsNobodyWhoWaitsForIt) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(5), "range=364544-385024,times=3,errno=EIO", true));
  const ExpertName names[] = {{0, 2}};
  EXPECT_EQ(cache_->Prefetch(names), 1u);
  gate_->Begun(2);  // the second is the one that fails
  auto pins = cache_->Demand(0, {{2u}});
  ASSERT_TRUE(pins.ok());
  gate_->Open();
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  EXPECT_EQ(reads_->reads_failed(), 1u);
  EXPECT_EQ(gate_->Begun(4), Pages({{0, 2, 0}, {0, 2, 1}, {0, 2, 1}, {0, 2, 2}}));
}

TEST_F(ExpertCacheTest, ReadingAheadAndOnDemandAtRandomWithFaults) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(6), "after=30,times=400,errno=EIO"));
  std::mt19937 random(11);
  int failed = 0;
  for (int i = 0; i < 600; ++i) {
    const uint32_t layer = random() % 2, expert = random() % 8;
    cache_->BeginPass(1);
    cache_->Touch(layer, expert, 1);
    const ExpertName names[] = {
        {layer, (expert + 1) % 8}, {1 - layer, expert}, {0, static_cast<uint32_t>(random() % 8)}};
    cache_->Prefetch(names, random() % 3 == 0 ? ExpertCache::Into::kFreeSlots : ExpertCache::Into::kColdestToo);
    std::vector<uint32_t> experts = {expert, (expert + 3) % 8, (expert + 5) % 8};
    auto pins = random() % 8 == 0 ? cache_->PinHeld(layer, experts) : cache_->Demand(layer, experts);
    ASSERT_TRUE(pins.ok()) << pins.status().message();
    if (random() % 4 == 0) continue;
    for (size_t slice = 0; slice < 3; ++slice) {
      const size_t waiting[] = {pins->size() - 1};
      if (pins->size() > 0 && !pins->WaitForAny(slice, waiting).ok()) ++failed;
    }
    if (i > 500) {
      ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, layer));
    }
  }
  EXPECT_GT(failed, 0) << "no read on demand failed";
  EXPECT_LT(failed, 400);
}

TEST_F(ExpertCacheTest, EndsWhileReadsAreInFlight) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "delay_us=3000"));
  ASSERT_TRUE(cache_->Demand(0, {{0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}}).ok());
  cache_.reset();
}

TEST_F(ExpertCacheTest, EndsWhileMuchIsToBeReadAhead) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "delay_us=3000"));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}};
  EXPECT_EQ(cache_->Prefetch(names), 6u);
  cache_.reset();
}

TEST_F(ExpertCacheTest, ReadingAheadStopsWhereHeadroomEnds) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(4), "", true));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}};
  ASSERT_EQ(cache_->Prefetch(names), 3u);
  gate_->Begun(kAhead);
  room_.has = false;
  gate_->Open();
  // No slot's memory was used as a whole yet: who needs the expert now must get it another way, or wait.
  const auto refused = cache_->Demand(0, {{2u}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kOutOfBudget);
  room_.has = true;
  auto pins = cache_->Demand(0, {{2u}});
  ASSERT_TRUE(pins.ok()) << pins.status().message();
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
}

}  // namespace
}  // namespace headrace
