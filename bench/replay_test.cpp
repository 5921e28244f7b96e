#include "replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace headrace {
namespace {

// One layer, one expert a pass.
std::vector<RouterStep> Sequence(const std::vector<uint32_t>& experts) {
  std::vector<RouterStep> trace;
  for (const uint32_t expert : experts) trace.push_back({0, {expert}});
  return trace;
}

TEST(Replay, KnownSequences) {
  // The textbook's reference string for three frames: the optimum faults 9 times of 20, LRU 12 times.
  const auto trace = Sequence({7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1});
  EXPECT_EQ(Replay(trace, 3, ReplayPolicy::kOptimum).hits, 20u - 9);
  EXPECT_EQ(Replay(trace, 3, ReplayPolicy::kLru).hits, 20u - 12);
  EXPECT_EQ(Replay(trace, 3, ReplayPolicy::kLru).chosen, 20u);
}

TEST(Replay, ACycleDefeatsLruAndNotTheOptimum) {
  std::vector<uint32_t> cycle;
  for (int i = 0; i < 50; ++i) cycle.insert(cycle.end(), {0, 1, 2, 3});
  EXPECT_EQ(Replay(Sequence(cycle), 3, ReplayPolicy::kLru).hits, 0u);
  EXPECT_GT(Replay(Sequence(cycle), 3, ReplayPolicy::kOptimum).rate(), 0.6);
}

// In a cycle of two everything after the first round is a hit.
TEST(Replay, TheFirstPassesFillTheCache) {
  const auto trace = Sequence({0, 1, 0, 1, 0, 1});
  EXPECT_EQ(CountPasses(trace), 6u);
  EXPECT_EQ(CountPasses(std::vector<RouterStep>{{0, {1}}, {1, {1}}, {3, {1}}, {0, {1}}}), 2u);
  for (const ReplayPolicy policy :
       {ReplayPolicy::kLru, ReplayPolicy::kHeat, ReplayPolicy::kMixture, ReplayPolicy::kOptimum}) {
    EXPECT_EQ(Replay(trace, 2, policy, 8).hits, 4u);
    const ReplayResult last = Replay(trace, 2, policy, 8, 3);
    EXPECT_EQ(last.chosen, 3u);
    EXPECT_EQ(last.hits, 3u);
    EXPECT_EQ(Replay(trace, 2, policy, 8, 100).chosen, 6u);
  }
}

TEST(Replay, HeatKeepsWhatIsUsedOften) {
  std::vector<uint32_t> experts;
  for (uint32_t i = 0; i < 400; ++i) experts.insert(experts.end(), {0, 1, 100 + i % 50, 200 + i % 50});
  EXPECT_LT(Replay(Sequence(experts), 3, ReplayPolicy::kLru).rate(), 0.01);
  EXPECT_GT(Replay(Sequence(experts), 3, ReplayPolicy::kHeat, 64).rate(), 0.49);
  EXPECT_GT(Replay(Sequence(experts), 3, ReplayPolicy::kMixture).rate(), 0.45);
}

// Two layers, two experts a step: the second layer's come in turn, so that they are never in memory in time.
TEST(Replay, WhatIsForeseenIsReadInTime) {
  std::vector<RouterStep> trace, foreseen;
  for (uint32_t pass = 0; pass < 20; ++pass) {
    const uint32_t first = 2 * (pass % 4);
    for (auto* const steps : {&trace, &foreseen}) steps->push_back({0, {0, 1}});
    trace.push_back({1, {first, first + 1}});
    foreseen.push_back({1, {first + 1, 9}});
  }
  const ReplayResult without = Replay(trace, 5, ReplayPolicy::kHeat, 16, 10);
  EXPECT_EQ(without.hits, 20u);
  EXPECT_EQ(without.reads(), 20u);
  const ReplayResult with = Replay(trace, 5, ReplayPolicy::kHeat, 16, 10, {foreseen});
  EXPECT_EQ(with.hits, 30u) << "the two do not make room for each other";
  EXPECT_EQ(with.ahead, 20u);
  EXPECT_EQ(with.wrong, 10u);
  EXPECT_EQ(with.reads(), 30u);
  const ReplayResult one = Replay(trace, 5, ReplayPolicy::kHeat, 16, 10, {foreseen, 1});
  EXPECT_EQ(one.hits, 30u);
  EXPECT_EQ(one.wrong, 0u);
  EXPECT_EQ(one.reads(), 20u);
}

TEST(Replay, NoPolicyBeatsTheOptimum) {
  std::mt19937 random(11);
  std::vector<RouterStep> trace;
  std::vector<uint32_t> all(16);
  for (uint32_t i = 0; i < 16; ++i) all[i] = i;
  for (int pass = 0; pass < 200; ++pass) {
    for (uint32_t layer = 0; layer < 4; ++layer) {
      std::shuffle(all.begin(), all.end(), random);
      std::sort(all.begin(), all.begin() + 6);
      trace.push_back({layer, {all.begin(), all.begin() + 3}});
    }
  }
  for (const uint64_t slots : {1, 3, 12, 30, 64}) {
    const double best = Replay(trace, slots, ReplayPolicy::kOptimum).rate();
    EXPECT_LE(Replay(trace, slots, ReplayPolicy::kLru).rate(), best) << slots;
    EXPECT_LE(Replay(trace, slots, ReplayPolicy::kHeat, 32).rate(), best) << slots;
    EXPECT_LE(Replay(trace, slots, ReplayPolicy::kMixture).rate(), best) << slots;
  }
  EXPECT_GT(Replay(trace, 64, ReplayPolicy::kLru).rate(), 0.9);  // everything fits
}

}  // namespace
}  // namespace headrace
