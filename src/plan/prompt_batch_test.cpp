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
uint64_t Alone(const PassCost& cost, uint64_t most_bytes, const PromptBatchMemory& memory) {
  return ChoosePromptBatch(cost, PromptPasses::kAlone, most_bytes, memory);
}
// Nobody tells what more memory it takes.
uint64_t Shared(const PassCost& cost) {
  return ChoosePromptBatch(cost, PromptPasses::kShared, kMuch, [](uint64_t) { return std::nullopt; });
}

TEST(PromptBatch, IsTheSmallestThatMakesTheDiskUnimportant) {
  EXPECT_EQ(Alone(Cost(), kMuch, Memory), 512u);
  EXPECT_EQ(Alone(Cost(4'000), kMuch, Memory), 128u);
  EXPECT_EQ(Alone(Cost(100), kMuch, Memory), 2048u) << "the widest, where none is enough";
}

TEST(PromptBatch, KeepsTheMemory) {
  EXPECT_EQ(Alone(Cost(), 300'000, Memory), 256u);
  EXPECT_EQ(Alone(Cost(), 1, Memory), 128u) << "never less than the smallest";
  EXPECT_EQ(Alone(Cost(), 1, [](uint64_t) { return std::nullopt; }), 512u) << "not known";
}

TEST(PromptBatch, GoesByMeasuredPasses) {
  PassCost cost = Cost();
  cost.Correct({{128, 5}});
  EXPECT_EQ(Alone(cost, kMuch, Memory), 128u);
}

TEST(PromptBatch, IsTheUsualOneWhereNothingIsKnown) {
  EXPECT_EQ(Alone(PassCost({}, {}, 1), kMuch, Memory), kUsualPromptBatch);
}

PassCost Measured(std::vector<MeasuredPass> passes) {
  ResidencyPlan plan;
  plan.streamed_bytes = 2'400'000'000;
  PassCost cost(plan, {.disk_bytes_per_s = 2.2e9}, 7e9);
  cost.Correct(std::move(passes));
  return cost;
}

TEST(SharedPromptBatch, IsNarrowWhereComputingIsSlow) {
  // A 3.8 GB model on two cores.
  EXPECT_EQ(Shared(Measured({{1, 1.104}, {32, 2.857}, {64, 5.137}, {512, 36}})), 32u);
}

TEST(SharedPromptBatch, IsWideWhereTheDiskIsTheLimit) {
  EXPECT_EQ(Shared(Measured({{1, 1.1}, {64, 1.2}, {512, 2.0}})), 512u);
  EXPECT_EQ(Shared(Measured({{1, 1.1}, {128, 2.1}, {512, 8}})), 128u);
}

TEST(SharedPromptBatch, IsWideWhereItReadsMoreExpertsAnyway) {
  // 64 tokens choose nearly all experts: more of them read no more.
  ResidencyPlan plan;
  plan.streamed_bytes = 1'000'000'000;
  PassCost cost(plan, {.disk_bytes_per_s = 1e9}, 3e9, ExpertDemand(30'000'000'000, 1'000'000'000));
  EXPECT_GT(cost.Seconds(64), 10 * cost.Seconds(1));
  EXPECT_EQ(Shared(cost), 512u);
}

TEST(SharedPromptBatch, IsWiderThanUsualWhereTheDiskIsTheLimitAndTheMemoryIsThere) {
  const PassCost cost = Measured({{1, 1.1}, {64, 1.2}, {512, 2.0}});
  const auto shared = [&](uint64_t most_bytes) {
    return ChoosePromptBatch(cost, PromptPasses::kShared, most_bytes, Memory);
  };
  EXPECT_EQ(shared(kMuch), 2048u);
  EXPECT_EQ(shared(1'100'000), 1024u);
  EXPECT_EQ(shared(1), 512u) << "what is usual is counted already";
}

}  // namespace
}  // namespace headrace
