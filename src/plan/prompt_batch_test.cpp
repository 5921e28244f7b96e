#include "plan/prompt_batch.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

// 1 s of reading for each pass; a token takes 1/128 s.
PassCost Cost(double disk_bytes_per_s = 1'000) {
  ResidencyPlan plan;
  plan.streamed_bytes = 1'000;
  return {plan, {disk_bytes_per_s, 0, 256, 0}, 1};
}

std::optional<uint64_t> Memory(uint64_t tokens) { return tokens * 1'000; }
constexpr uint64_t kMuch = 1 << 30;

TEST(PromptBatch, IsTheSmallestThatMakesTheDiskUnimportant) {
  EXPECT_EQ(ChoosePromptBatch(Cost(), kMuch, Memory), 512u);
  EXPECT_EQ(ChoosePromptBatch(Cost(4'000), kMuch, Memory), 128u);
  EXPECT_EQ(ChoosePromptBatch(Cost(100), kMuch, Memory), 2048u) << "the widest, where none is enough";
}

TEST(PromptBatch, KeepsTheMemory) {
  EXPECT_EQ(ChoosePromptBatch(Cost(), 300'000, Memory), 256u);
  EXPECT_EQ(ChoosePromptBatch(Cost(), 1, Memory), 128u) << "never less than the smallest";
  EXPECT_EQ(ChoosePromptBatch(Cost(), 1, [](uint64_t) { return std::nullopt; }), 512u) << "not known";
}

TEST(PromptBatch, GoesByMeasuredPasses) {
  PassCost cost = Cost();
  cost.Correct({{128, 5}});
  EXPECT_EQ(ChoosePromptBatch(cost, kMuch, Memory), 128u);
}

TEST(PromptBatch, IsTheUsualOneWhereNothingIsKnown) { EXPECT_EQ(ChoosePromptBatch(PassCost({}, {}, 1), kMuch, Memory), kUsualPromptBatch); }

}  // namespace
}  // namespace headrace
