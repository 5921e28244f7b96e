#include "plan/expert_demand.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

// A layer of 128 experts of which 8 are chosen: bytes are experts.
constexpr uint64_t kExperts = 128, kChosen = 8;

ExpertHabits Even() {
  ExpertHabits habits;
  habits.popularity.fill(1.0 / ExpertHabits::kParts);
  habits.again = 0;
  return habits;
}

TEST(ExpertDemand, OneTokenNeedsItsOwn) {
  EXPECT_NEAR(ExpertDemand(kExperts, kChosen).Bytes({1}), kChosen, 0.02);
  EXPECT_NEAR(ExpertDemand(8, 2).Bytes({1}), 2, 1e-3) << "few experts: none is chosen more than once";
  EXPECT_EQ(ExpertDemand().Bytes({4}), 0);
}

// What the trained mixture of bench/traces chose, mean of eight kinds of text (docs/experts-policy.md).
TEST(ExpertDemand, NeighboursShareExpertsAsInTheTraces) {
  const ExpertDemand demand(kExperts, kChosen);
  const std::pair<double, double> seen[] = {{2, 13.99}, {4, 23.65}, {8, 38.41}, {16, 57.25}};
  for (const auto& [tokens, experts] : seen) EXPECT_NEAR(demand.Bytes({tokens}), experts, 0.08 * experts) << tokens;
}

TEST(ExpertDemand, IndependentTextsShareWhatChanceLetsThemShare) {
  const ExpertDemand demand(kExperts, kChosen);
  const std::pair<double, double> seen[] = {{2, 15.54}, {4, 29.4}, {8, 52.4}, {16, 82.4}};
  for (const auto& [texts, experts] : seen) EXPECT_NEAR(demand.Bytes({texts, texts}), experts, 0.06 * experts) << texts;
}

// What the cache of the engine misses there: heat of 16 tokens.
TEST(ExpertDemand, ACacheServesWhatIsPopular) {
  const ExpertDemand demand(kExperts, kChosen);
  EXPECT_NEAR(demand.AbsentBytes({1}, 32), 2.84, 0.5);
  EXPECT_NEAR(demand.AbsentBytes({4}, 32), 11.12, 0.6);
  EXPECT_NEAR(demand.AbsentBytes({16}, 32), 32.17, 3);
  EXPECT_NEAR(demand.AbsentBytes({4}, 64), 4.64, 0.5);
  EXPECT_EQ(demand.AbsentBytes({4}, 128), 0);
  EXPECT_EQ(demand.AbsentBytes({4}, 1000), 0);
}

TEST(ExpertDemand, ACacheServesManyTextsLess) {
  const ExpertDemand demand(kExperts, kChosen);
  EXPECT_GT(demand.AbsentBytes({4, 4}, 64), 4 * demand.AbsentBytes({1}, 64));
  EXPECT_LT(demand.AbsentBytes({4, 4}, 64), demand.Bytes({4, 4}) / 2) << "but more than its share";
  EXPECT_GT(demand.AbsentBytes({8, 2}, 64), demand.AbsentBytes({8, 1}, 64));
}

TEST(ExpertDemand, WhatIsPopularWithAllTextsServesThemAll) {
  ExpertHabits habits;
  habits.lasting = 1;
  const ExpertDemand demand(kExperts, kChosen, habits);
  EXPECT_LT(demand.AbsentBytes({4, 4}, 64), 4 * demand.AbsentBytes({1}, 64));
  EXPECT_GT(demand.Bytes({4, 4}), demand.Bytes({4})) << "they are no neighbours";
}

TEST(ExpertDemand, EvenChoicesAreServedByTheCachesShare) {
  const ExpertDemand demand(kExperts, kChosen, Even());
  EXPECT_DOUBLE_EQ(demand.AbsentBytes({1}, 32), 6);
  EXPECT_NEAR(demand.Bytes({2}), kExperts * (1 - 0.9375 * 0.9375), 1e-9);
}

TEST(ExpertDemand, WhatIsChosenAgainIsNotNeededTwice) {
  ExpertHabits habits = Even();
  habits.again = 1;
  EXPECT_DOUBLE_EQ(ExpertDemand(kExperts, kChosen, habits).Bytes({16}), kChosen);
}

TEST(ExpertDemand, AWidePassNeedsAll) {
  EXPECT_LT(ExpertDemand(kExperts, kChosen).AbsentBytes({63}, 32), 95);
  EXPECT_DOUBLE_EQ(ExpertDemand(kExperts, kChosen).AbsentBytes({64}, 32), 96);
}

TEST(ExpertHabits, PopularityIsThatOfTheMostPopularSixteenthFirst) {
  std::vector<double> uses(32, 1);
  uses[7] = 33;
  const auto popularity = ExpertHabits::PopularityOf(uses);
  EXPECT_DOUBLE_EQ(popularity[0], 34.0 / 64);
  EXPECT_DOUBLE_EQ(popularity[15], 2.0 / 64);
  EXPECT_DOUBLE_EQ(ExpertHabits::PopularityOf(std::vector<double>{4, 0})[7], 0.125) << "an expert is eight parts";
  EXPECT_EQ(ExpertHabits::PopularityOf({})[0], 0);
}

}  // namespace
}  // namespace headrace
