#include "experts/heat_mixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace headrace {
namespace {

constexpr double kEven = 1.0 / 64;  // one of 64 experts is chosen

TEST(HeatMixture, WhatIsChosenIsWorthItsChance) {
  HeatMixture heat(64);
  for (int token = 0; token < 4000; ++token) {
    heat.Age(1);
    heat.Touch(token % 2 == 0 ? 0 : static_cast<size_t>(1 + token % 63), 1, kEven);
  }
  EXPECT_NEAR(heat[0], 0.5 * (1 - heat.weights().back()), 0.05);
  EXPECT_LT(heat[5], 0.1);
}

// One expert is chosen at every fourth token, another one of 63 at each of the others.
TEST(HeatMixture, WhereExpertsStayPopularTheLongMemoryCounts) {
  HeatMixture heat(64);
  for (int token = 0; token < 2000; ++token) {
    heat.Age(1);
    heat.Touch(token % 4 == 0 ? 0 : static_cast<size_t>(1 + token % 63), 1, kEven);
  }
  EXPECT_GT(heat.weights()[2], heat.weights()[0]);
  size_t coldest = 0;
  for (size_t expert = 1; expert < 64; ++expert) coldest = heat[expert] < heat[coldest] ? expert : coldest;
  EXPECT_NE(coldest, 0u);
  EXPECT_GT(heat[0], heat[1 + 1999 % 63]) << "a popular one is worth more than the last one";
}

// Each is chosen ten times in a row and then not for long.
TEST(HeatMixture, WhereSubjectsDriftTheShortMemoryCounts) {
  HeatMixture heat(64);
  for (int token = 0; token < 2000; ++token) {
    heat.Age(1);
    heat.Touch(static_cast<size_t>(token / 10 % 64), 1, kEven);
  }
  EXPECT_GT(heat.weights()[0], 0.6);
  EXPECT_NEAR(std::accumulate(heat.weights().begin(), heat.weights().end(), 0.0), 1, 1e-9);
}

// The cache compares experts of many layers while it learns from one after the other.
TEST(HeatMixture, WithinAPassWorthChangesByTouchAlone) {
  HeatMixture heat(3);
  heat.Age(1);
  heat.Touch(0, 1, 0.5);
  heat.Age(1);
  const double before = heat[0];
  for (int i = 0; i < 50; ++i) heat.Touch(1, 1, 0.5);
  EXPECT_EQ(heat[0], before);
  heat.Age(1);
  EXPECT_NE(heat[0], before);
}

// A prompt of 500 tokens, of which 250 chose the first expert and 25 the second: they lie somewhere in it.
TEST(HeatMixture, AWidePassIsWorthItsShareAndTeachesNothing) {
  HeatMixture heat(3);
  heat.Age(500);
  const auto before = heat.weights();
  heat.Touch(0, 250, 0.1);
  heat.Touch(1, 25, 0.1);
  EXPECT_EQ(heat.weights(), before);
  const double memories = 1 - before.back();
  EXPECT_NEAR(heat[0], 0.5 * memories, 1e-6);
  EXPECT_NEAR(heat[1], 0.05 * memories, 1e-6);
  for (int token = 0; token < 20; ++token) {
    heat.Age(1);
    heat.Touch(2, 1, 0.1);
  }
  EXPECT_GT(heat[2], heat[0]) << "the next tokens are worth more than a prompt's";
}

TEST(HeatMixture, WhatIsRecalledIsWorthItsChance) {
  HeatMixture heat(3);
  heat.Recall(0, 0.2);
  heat.Recall(1, 0.01);
  const double memories = 1 - heat.weights().back();
  EXPECT_NEAR(heat[0], 0.2 * memories, 1e-4);
  EXPECT_NEAR(heat[1], 0.01 * memories, 1e-5);
  EXPECT_EQ(heat[2], 0);
  heat.Age(1);
  heat.Touch(2, 1, 0.1);
  EXPECT_GT(heat[2], heat[1]);
  heat.Age(1e9);
  EXPECT_LT(heat[0], 1e-30);
}

TEST(HeatMixture, KeepsTheOrderForMillionsOfTokens) {
  HeatMixture heat(4);
  for (int token = 0; token < 1'000'000; ++token) {
    heat.Age(1);
    heat.Touch(0, 1, 0.5);
    if (token % 2 == 0) heat.Touch(1, 1, 0.5);
    if (token < 1000) heat.Touch(3, 1, 0.5);
  }
  EXPECT_GT(heat[0], heat[1]);
  EXPECT_GT(heat[1], heat[2]);
  EXPECT_EQ(heat[3], 0);
}

}  // namespace
}  // namespace headrace
