#include "plan/slots.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

constexpr uint64_t kContext = 4096;

TEST(Slots, WhatTheyCostMakesAPassAtMostATenthLonger) {
  // A tenth of 80 MB: 8 MB more for tokens of 1000 bytes each.
  SlotPlan plan = PlanSlots(kContext, 80'000'000, {.token_bytes = 1000});
  EXPECT_EQ(plan.slots, kMostSlots);
  EXPECT_EQ(plan.pool_tokens, kContext + 7936) << "8000, in whole groups of 256";
  // States of slots come first.
  plan = PlanSlots(kContext, 80'000'000, {.slot_bytes = 1'000'000, .token_bytes = 1000});
  EXPECT_EQ(plan.slots, 12u);
  EXPECT_EQ(plan.pool_tokens, kContext);
}

TEST(Slots, NeverLessThanOneContextAndFourSlots) {
  const SlotPlan plan = PlanSlots(kContext, 0, {.slot_bytes = 1, .token_bytes = 1});
  EXPECT_EQ(plan.slots, kLeastSlots);
  EXPECT_EQ(plan.pool_tokens, kContext);
}

TEST(Slots, NoMoreThanCanBeUsed) {
  EXPECT_EQ(PlanSlots(kContext, uint64_t{1} << 40, {.token_bytes = 1}).pool_tokens, kMostSlots * kContext);
  const SlotPlan small = PlanSlots(512, 0, {});
  EXPECT_EQ(small.slots, kLeastSlots) << "512 tokens are not worth 16 slots";
  EXPECT_EQ(PlanSlots(2048, 0, {}).slots, 8u);
}

TEST(Slots, TheUsersNumberStays) {
  const SlotPlan plan = PlanSlots(kContext, uint64_t{1} << 40, {.slot_bytes = 1 << 30, .token_bytes = 1}, 2);
  EXPECT_EQ(plan.slots, 2u);
  EXPECT_EQ(plan.pool_tokens, 2 * kContext);
}

PassCost Measured(std::vector<MeasuredPass> passes) {
  PassCost cost(ResidencyPlan(), {.disk_bytes_per_s = 1e9}, 0, ExpertDemand(30'000'000'000, 1'000'000'000));
  cost.Correct(std::move(passes));
  return cost;
}

TEST(Slots, RequestsThatTakeEachOthersExpertsRunOneByOne) {
  EXPECT_EQ(SlotsThatPay(Measured({{1, 0.1}, {2, 0.3}, {4, 0.6}}), 4), 1u);
  EXPECT_EQ(SlotsThatPay(Measured({{1, 0.1}, {2, 0.3}, {4, 0.4}}), 4), 4u) << "four gain what two lose";
  EXPECT_EQ(SlotsThatPay(Measured({{1, 0.1}, {2, 0.3}, {4, 0.6}, {16, 1.5}}), 16), 16u);
  EXPECT_EQ(SlotsThatPay(Measured({{1, 0.1}}), 4), 4u) << "nobody has tried";
  EXPECT_EQ(SlotsThatPay(Measured({}), 4), 4u);
}

}  // namespace
}  // namespace headrace
