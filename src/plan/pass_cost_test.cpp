#include "plan/pass_cost.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

ResidencyPlan Plan(uint64_t resident, uint64_t streamed, uint64_t cache = 0) {
  ResidencyPlan plan;
  plan.resident_bytes = resident;
  plan.streamed_bytes = streamed;
  plan.expert_cache_bytes = cache;
  return plan;
}

// 1 s of reading; a token takes 0.2 s with plain kernels, 0.1 s with repacked ones after 0.5 s of repacking.
PassCost Dense() { return {Plan(1'000, 1'000), {1'000, 10'000, 100, 2'000}, 5}; }

TEST(PassCost, IsTheDisksTimeUntilComputingTakesLonger) {
  const PassCost cost = Dense();
  EXPECT_DOUBLE_EQ(cost.Seconds(1), 1);
  EXPECT_DOUBLE_EQ(cost.Seconds(4), 1);
  EXPECT_DOUBLE_EQ(cost.Seconds(20), 2.5) << "repacked: 0.5 s and 20 * 0.1 s";
}

TEST(PassCost, TakesPlainKernelsWhereTheSpeedOfOthersIsUnknown) {
  const PassCost cost(Plan(1'000, 1'000), {1'000, 10'000, 0, 0}, 5);
  EXPECT_DOUBLE_EQ(cost.Seconds(20), 4);
}

TEST(PassCost, ReadsTheExpertsThatItsTokensChooseTogether) {
  // Half of the experts are absent (1 s of reading), a token chooses a tenth.
  const ExpertDemand experts(2'000, 200);
  const PassCost cost(Plan(0, 500, 1'000), {1'000, 0, 0, 0}, 0, experts);
  EXPECT_DOUBLE_EQ(cost.Seconds(1), 0.5 + experts.AbsentBytes({1}, 1'000) / 1'000);
  EXPECT_DOUBLE_EQ(cost.Seconds(4), 0.5 + experts.AbsentBytes({4}, 1'000) / 1'000);
  EXPECT_DOUBLE_EQ(cost.Seconds(1'000), 1.5);
  EXPECT_GT(cost.Seconds({4, 4}), cost.Seconds(4)) << "texts that have nothing to do with each other";
}

TEST(PassCost, ScalesWhatWasMeasuredToOtherTexts) {
  const ExpertDemand experts(2'000, 200);
  PassCost cost(Plan(0, 0, 1'000), {1'000, 0, 0, 0}, 0, experts);
  const double alone = cost.Seconds(1), together = cost.Seconds({4, 4});
  cost.Correct({{1, 2 * alone}});
  EXPECT_DOUBLE_EQ(cost.Seconds({4, 4}), 2 * together);
}

TEST(PassCost, GoesThroughWhatWasMeasuredAndScalesBeyond) {
  PassCost cost = Dense();
  cost.Correct({{8, 1.4}, {0, 1}, {4, 1.2}, {16, 0}});
  EXPECT_TRUE(cost.measured());
  EXPECT_DOUBLE_EQ(cost.Seconds(4), 1.2);
  EXPECT_DOUBLE_EQ(cost.Seconds(6), 1.3);
  EXPECT_DOUBLE_EQ(cost.Seconds(1), 1.2) << "the prediction is 1 s for one and four tokens";
  EXPECT_DOUBLE_EQ(cost.Seconds(20), 2.5 * 1.4 / 1.3);
}

TEST(PassCost, IsNeverLessForMoreTokens) {
  PassCost cost = Dense();
  cost.Correct({{1, 1.3}, {2, 1.1}, {4, 1.2}, {8, 1.15}});
  EXPECT_DOUBLE_EQ(cost.Seconds(1), 1.1);
  EXPECT_DOUBLE_EQ(cost.Seconds(2), 1.1);
  EXPECT_DOUBLE_EQ(cost.Seconds(4), 1.15);
  EXPECT_DOUBLE_EQ(cost.Seconds(8), 1.15);
}

TEST(PassCost, IsNothingWhereNothingIsKnown) { EXPECT_DOUBLE_EQ(PassCost(Plan(1, 1), {}, 1).Seconds(3), 0); }

}  // namespace
}  // namespace headrace
