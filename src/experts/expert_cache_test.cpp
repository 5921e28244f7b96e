#include "experts/expert_cache.h"

#include <algorithm>
#include <random>
#include <vector>

#include "experts/expert_cache_test.h"

namespace headrace {
namespace {

TEST_F(ExpertCacheTest, DeliversTheBytesOfWhatIsDemanded) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(5)));
  ASSERT_EQ(cache_->slots(0), 5u);
  EXPECT_EQ(cache_->slots(1), 5u);
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    const uint32_t layer = random() % 2;
    std::vector<uint32_t> experts = {0, 1, 2, 3, 4, 5, 6, 7};
    std::shuffle(experts.begin(), experts.end(), random);
    experts.resize(1 + random() % 5);
    auto pins = cache_->Demand(layer, experts);
    ASSERT_TRUE(pins.ok()) << pins.status().message();
    ASSERT_EQ(pins->size(), experts.size());
    for (size_t e = 0; e < experts.size(); ++e) EXPECT_EQ(pins->expert(e), experts[e]);
    if (random() % 4 == 0) continue;  // given up while it loads
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, layer));
  }
  EXPECT_LE(cache_->ready_bytes(), 5 * layers_[0].SlotBytes());
}

TEST_F(ExpertCacheTest, WhatIsInMemoryIsNotReadAgain) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8)));
  const uint32_t experts[] = {1, 4, 6};
  auto pins = cache_->Demand(0, experts);
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  const uint64_t read = cache_->bytes_read();
  EXPECT_GE(read, 3 * 77'008u);
  pins = cache_->Demand(0, experts);
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  EXPECT_EQ(cache_->bytes_read(), read);
  EXPECT_EQ(cache_->ready_bytes(), 3 * layers_[0].SlotBytes());
}

TEST_F(ExpertCacheTest, GivesUpTheColdestThatIsNotPinned) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(3)));
  ASSERT_EQ(cache_->slots(0), 3u);
  for (const uint32_t expert : {0, 1, 2}) {
    cache_->Touch(0, expert, expert == 1 ? 0.5 : 2.0 + expert);
    auto pins = cache_->Demand(0, {{expert}});
    ASSERT_TRUE(pins.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  }
  ASSERT_TRUE(cache_->Demand(1, {{7u}}).ok());
  EXPECT_FALSE(cache_->Holds(0, 1));
  EXPECT_TRUE(cache_->Holds(0, 0) && cache_->Holds(0, 2) && cache_->Holds(1, 7));
  cache_->Touch(1, 7, 9);
  auto pinned = cache_->Demand(0, {{0u}});  // the coldest now, but in use
  ASSERT_TRUE(pinned.ok());
  ASSERT_TRUE(cache_->Demand(1, {{6u}}).ok());
  EXPECT_TRUE(cache_->Holds(0, 0));
  EXPECT_FALSE(cache_->Holds(0, 2));
}

TEST_F(ExpertCacheTest, MoreThanThereAreSlotsIsRefusedAndChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(3)));
  auto held = cache_->Demand(0, {{0u, 1u}});
  ASSERT_TRUE(held.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*held, 0));
  const auto refused = cache_->Demand(1, {{3u, 4u}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kOutOfBudget);
  EXPECT_FALSE(cache_->Holds(1, 3) || cache_->Holds(1, 4));
  held->Release();
  auto pins = cache_->Demand(1, {{3u, 4u}});
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 1));
}

// Beside a search of all that is held: whoever goes is the coldest, whatever came, was read ahead or forgotten before.
TEST_F(ExpertCacheTest, WhoeverGoesIsTheColdest) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(7)));
  std::mt19937 random(11);
  const auto held = [&] {
    std::vector<ExpertName> names;
    for (const uint32_t layer : {0u, 1u}) {
      for (uint32_t expert = 0; expert < 8; ++expert) {
        if (cache_->Holds(layer, expert)) names.push_back({layer, expert});
      }
    }
    return names;
  };
  int gone = 0;
  for (int i = 0; i < 2000; ++i) {
    if (random() % 3 == 0) cache_->BeginPass(1);
    const uint32_t layer = random() % 2, expert = std::min(random() % 8, random() % 8);
    cache_->Touch(layer, expert, 1);
    for (const ExpertName& name : held()) AwaitReady(name);
    const auto before = held();
    const bool ahead = random() % 3 == 0;
    const ExpertName name[] = {{layer, ahead ? (expert + 1) % 8 : expert}};
    if (ahead) {
      cache_->Prefetch(name, ExpertCache::Into::kColdestToo);
    } else {
      auto pins = cache_->Demand(layer, {{expert}});
      ASSERT_TRUE(pins.ok());
      ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, layer));
    }
    for (const ExpertName& victim : before) {
      if (cache_->Holds(victim.layer, victim.expert)) continue;
      ++gone;
      for (const ExpertName& other : before)
        ASSERT_LE(cache_->Heat(victim.layer, victim.expert), cache_->Heat(other.layer, other.expert)) << i;
    }
  }
  EXPECT_GT(gone, 300);
}

TEST_F(ExpertCacheTest, PopularityOutlivesHeatAndIsRecalled) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8)));
  cache_->Touch(1, 4, 100);
  cache_->BeginPass(1024);
  cache_->Touch(1, 5, 1);
  EXPECT_NEAR(cache_->Popularity(1, 4), 50, 1e-9);
  EXPECT_LT(cache_->Heat(1, 4), cache_->Heat(1, 5));
  cache_->Recall(0, 2, 64);
  EXPECT_NEAR(cache_->Popularity(0, 2), 64, 1e-9);
  EXPECT_NEAR(cache_->Heat(0, 2), 0.75 * 64 / 1477.8, 0.001)
      << "64 of the 1478 that an expert has which each token chooses, as far as memories count";
}

TEST_F(ExpertCacheTest, WithoutHeadroomOnlySlotsThatWereUsedAreUsed) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(4)));
  for (const uint32_t expert : {0u, 1u}) {
    cache_->Touch(0, expert, 2 - expert);
    auto pins = cache_->Demand(0, {{expert}});
    ASSERT_TRUE(pins.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  }
  room_.has = false;
  const ExpertName ahead[] = {{0, 5}};
  cache_->Prefetch(ahead);
  {
    auto pins = cache_->Demand(0, {{2u}});
    ASSERT_TRUE(pins.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  }
  EXPECT_TRUE(cache_->Holds(0, 0) && cache_->Holds(0, 2));
  EXPECT_FALSE(cache_->Holds(0, 1)) << "the coldest made room";
  const auto refused = cache_->Demand(0, {{0u, 2u, 3u}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kOutOfBudget);
  room_.has = true;
  auto pins = cache_->Demand(0, {{0u, 2u, 3u}});
  ASSERT_TRUE(pins.ok()) << pins.status().message();
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
}

}  // namespace
}  // namespace headrace
