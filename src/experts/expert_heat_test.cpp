#include "experts/expert_heat.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

TEST(ExpertHeat, AUseCountsHalfAfterAHalfLife) {
  ExpertHeat heat(2, 8);
  heat.Touch(0, 3);
  EXPECT_DOUBLE_EQ(heat[0], 3);
  heat.Age(8);
  EXPECT_DOUBLE_EQ(heat[0], 1.5);
  heat.Touch(0, 1);
  EXPECT_DOUBLE_EQ(heat[0], 2.5);
  EXPECT_DOUBLE_EQ(heat[1], 0);
}

TEST(ExpertHeat, OftenAndLongAgoBeatsOnceAndNowOnlyForAWhile) {
  ExpertHeat heat(2, 4);
  heat.Touch(0, 4);
  heat.Age(4);
  heat.Touch(1, 1);
  EXPECT_GT(heat[0], heat[1]);
  heat.Age(4);
  heat.Touch(1, 1);
  EXPECT_LT(heat[0], heat[1]);
}

TEST(ExpertHeat, KeepsTheOrderForMillionsOfTokens) {
  ExpertHeat heat(3, 64);
  for (int token = 0; token < 1'000'000; ++token) {
    heat.Age(1);
    heat.Touch(0, 1);
    if (token % 2 == 0) heat.Touch(1, 1);
  }
  EXPECT_GT(heat[0], heat[1]);
  EXPECT_GT(heat[1], heat[2]);
  EXPECT_NEAR(heat[0], 92.8, 0.5);  // 1 / (1 - 2^(-1/64))
  heat.Age(1e9);
  EXPECT_LT(heat[0], 1e-30);
}

}  // namespace
}  // namespace headrace
