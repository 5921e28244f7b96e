#include <algorithm>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "experts/expert_cache_test.h"

namespace headrace {
namespace {

TEST_F(ExpertCacheTest, LayersOfOtherSizesHaveSlotsOfTheirOwn) {
  layers_.push_back({{{file_.get(), 2 * kMiB, 1'200 * 1024}, {file_.get(), 2 * kMiB + 1'200 * 1024, 4096}}, 1});
  const uint64_t all = 16 * layers_[0].SlotBytes() + layers_[2].SlotBytes();
  ASSERT_NO_FATAL_FAILURE(Start(all));
  EXPECT_EQ(cache_->slots(0), 16u);
  EXPECT_EQ(cache_->slots(2), 1u);
  auto large = cache_->Demand(2, {{0u}});
  ASSERT_TRUE(large.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*large, 2));
  auto small = cache_->Demand(1, {{0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}});
  ASSERT_TRUE(small.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*small, 1));
  ASSERT_NO_FATAL_FAILURE(CheckAll(*large, 2));
}

// One layer of eight has larger experts. A fifth of its bytes are three of its experts, and each token chooses four.
TEST_F(ExpertCacheTest, ASmallBudgetHasRoomForATokensExpertsOfEachSize) {
  ASSERT_NO_FATAL_FAILURE(MakeLayers({1, 1, 1, 3, 1, 1, 1, 1}, 16, 4));
  ASSERT_NO_FATAL_FAILURE(Start(160 * kReadAlignment / 5));
  EXPECT_GE(cache_->slots(3), 4u);
  EXPECT_GE(cache_->slots(0), 4u);
  std::mt19937 random(5);
  HitRate(30, [&](uint32_t) {
    const uint32_t first = random() % 16;
    return std::vector<uint32_t>{first, (first + 3) % 16, (first + 7) % 16, (first + 8) % 16};
  });
  cache_->BeginPass(2, 2);  // two tokens together
  EXPECT_EQ(cache_->slots(3), 8u);
  EXPECT_EQ(cache_->slots(0), 8u);
}

// The layers of large experts need two of theirs, those of small ones all.
TEST_F(ExpertCacheTest, MemoryMovesToTheSizeThatNeedsIt) {
  std::mt19937 random(6);
  const auto choose = [&](uint32_t layer) {
    const uint32_t first = random() % 32;
    return layer < 2 ? std::vector<uint32_t>{0, 1} : std::vector<uint32_t>{first, (first + 5) % 32};
  };
  const auto measure = [&](const std::vector<uint64_t>& pages) {
    cache_.reset();
    MakeLayers(pages, 32, 2);
    Start(32 * 12 * kReadAlignment / 2);
    return HitRate(300, choose);
  };
  const double uniform = measure({2, 2, 2, 2, 2, 2});
  const double mixed = measure({4, 4, 1, 1, 1, 1});
  EXPECT_GE(mixed, uniform - 0.02);
  EXPECT_GT(mixed, 0.93);
  EXPECT_GE(cache_->slots(2), 112u) << "of 128; half of them where memory is divided by bytes";
}

// Turns of 100 tokens in which the large experts, or the small ones, are used evenly and the others hardly. What is
// read ahead is in flight while memory moves.
TEST_F(ExpertCacheTest, BytesStayRightWhileMemoryMoves) {
  ASSERT_NO_FATAL_FAILURE(MakeLayers({1, 4, 1, 3, 1, 2}, 32, 2));
  uint64_t arena = 32 * 12 * kReadAlignment / 3;
  ASSERT_NO_FATAL_FAILURE(Start(arena));
  std::mt19937 random(9);
  int moves = 0;
  for (int token = 0; token < 500; ++token) {
    const uint32_t before = cache_->slots(0);
    cache_->BeginPass(1);
    moves += cache_->slots(0) != before;
    if (token % 83 == 82) {
      arena = (100 + random() % 200) * kReadAlignment;
      ASSERT_TRUE(cache_->Resize(arena).ok());
    }
    uint64_t bytes = 0;
    for (const uint32_t layer : {0u, 1u, 3u, 5u}) bytes += cache_->slots(layer) * layers_[layer].SlotBytes();
    ASSERT_LE(bytes, arena);
    for (uint32_t layer = 0; layer < layers_.size(); ++layer) {
      const bool even = (token / 100 + layer) % 2 == 0;
      const uint32_t first = even ? random() % 31 : 0;
      const std::vector<uint32_t> experts = {first, first + 1};
      for (const uint32_t expert : experts) cache_->Touch(layer, expert, 1);
      const auto pins = cache_->Demand(layer, experts);
      ASSERT_TRUE(pins.ok()) << pins.status().message();
      const ExpertName ahead[] = {{(layer + 1) % 6, static_cast<uint32_t>(random() % 32)},
                                  {(layer + 2) % 6, static_cast<uint32_t>(random() % 32)}};
      cache_->Prefetch(ahead, ExpertCache::Into::kColdestToo);
      ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, layer));
    }
    ASSERT_LE(cache_->ready_bytes(), arena);
  }
  EXPECT_GT(moves, 3);
}

// Files of equal size whose layers choose alike: in one all experts are equally large, in the other they are of three
// sizes.
TEST_F(ExpertCacheTest, HitsAsWithAUniformFile) {
  for (const double share : {0.15, 0.3, 0.6}) {
    const auto measure = [&](const std::vector<uint64_t>& pages) {
      std::mt19937 random(8);
      cache_.reset();
      MakeLayers(pages, 32, 3);
      Start(static_cast<uint64_t>(share * 32 * 12 * kReadAlignment));
      return HitRate(200, [&](uint32_t layer) {
        const auto one = [&] { return (std::min({random() % 32, random() % 32, random() % 32}) * 5 + layer) % 32; };
        std::vector<uint32_t> experts = {static_cast<uint32_t>(one())};
        while (experts.size() < 3) {
          const auto expert = static_cast<uint32_t>(one());
          if (std::find(experts.begin(), experts.end(), expert) == experts.end()) experts.push_back(expert);
        }
        return experts;
      });
    };
    const double uniform = measure({2, 2, 2, 2, 2, 2}), mixed = measure({1, 4, 1, 3, 1, 2});
    EXPECT_GE(mixed, uniform - 0.03) << share;
    EXPECT_GT(uniform, share);
  }
}

// Sixteen experts of layers 0 and 1 with heat in the order of their names; `hot` slots remain.
TEST_F(ExpertCacheTest, ShrinkingKeepsTheHottestAndGrowingKeepsAll) {
  Start(ArenaFor(16));
  const std::vector<uint32_t> all = {0, 1, 2, 3, 4, 5, 6, 7};
  cache_->BeginPass(1);
  for (const uint32_t layer : {0u, 1u}) {
    // Hot ones are spread over all slots.
    for (const uint32_t expert : all) cache_->Touch(layer, expert, 1 + (expert * 5 + layer * 3) % 8);
    auto pins = cache_->Demand(layer, all);
    ASSERT_TRUE(pins.ok());
    CheckAll(*pins, layer);
  }
  ASSERT_EQ(cache_->slots(0), 16u);
  const uint64_t read = cache_->bytes_read();
  std::vector<ExpertName> names;
  for (const uint32_t layer : {0u, 1u}) {
    for (const uint32_t expert : all) names.push_back({layer, expert});
  }
  std::stable_sort(names.begin(), names.end(), [&](const ExpertName& a, const ExpertName& b) {
    return cache_->Heat(a.layer, a.expert) > cache_->Heat(b.layer, b.expert);
  });
  for (const uint32_t slots : {6u, 16u}) {
    ASSERT_TRUE(cache_->Resize(ArenaFor(slots)).ok());
    EXPECT_EQ(cache_->slots(0), slots);
    EXPECT_EQ(cache_->ready_bytes(), 6 * layers_[0].SlotBytes());
    for (size_t i = 0; i < names.size(); ++i) {
      EXPECT_EQ(cache_->Ready(names[i].layer, names[i].expert), i < 6) << i << " of " << slots;
      if (i >= 6) continue;
      auto pins = cache_->Demand(names[i].layer, std::span(&names[i].expert, 1));
      ASSERT_TRUE(pins.ok());
      CheckAll(*pins, names[i].layer);
    }
  }
  EXPECT_EQ(cache_->bytes_read(), read) << "what stayed was not read again";
  auto pins = cache_->Demand(0, all);
  ASSERT_TRUE(pins.ok());
  CheckAll(*pins, 0);
}

TEST_F(ExpertCacheTest, ShrinkingWaitsForReadsAndForgetsThem) {
  Start(ArenaFor(16), "", true);
  std::vector<ExpertName> names;
  for (const uint32_t expert : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}) names.push_back({0, expert});
  ASSERT_EQ(cache_->Prefetch(names), 8u);
  gate_->Begun(kAhead);
  std::thread opener([this] { gate_->Open(); });
  ASSERT_TRUE(cache_->Resize(ArenaFor(2)).ok());
  opener.join();
  EXPECT_EQ(cache_->slots(0), 2u);
  const std::vector<uint32_t> two = {7, 3};
  auto pins = cache_->Demand(0, two);
  ASSERT_TRUE(pins.ok());
  CheckAll(*pins, 0);
  EXPECT_EQ(cache_->ready_bytes(), 2 * layers_[0].SlotBytes());
}

}  // namespace
}  // namespace headrace
