#include "plan/residency.h"

#include <random>

#include <gtest/gtest.h>

#include "base/size.h"
#include "plan/prediction.h"

namespace headrace {
namespace {

// 32 layers of Llama-8B shape in Q4_0, 4096 wide.
std::vector<WeightExtent> LlamaShape(uint32_t model = 0) {
  const uint64_t row = 4096 / 32 * 18, ffn_row = 14336 / 32 * 18;
  std::vector<WeightExtent> weights;
  for (int layer = 0; layer < 32; ++layer) {
    for (uint64_t rows : {4096u, 1024u, 1024u, 4096u, 14336u, 14336u}) weights.push_back({rows, row, model});
    weights.push_back({4096, ffn_row, model});
  }
  weights.push_back({32000, row, model});
  return weights;
}

uint64_t Total(const std::vector<WeightExtent>& weights) {
  uint64_t total = 0;
  for (const auto& weight : weights) total += weight.bytes();
  return total;
}

void ExpectSound(const std::vector<WeightExtent>& weights, const ResidencyPlan& plan, uint64_t budget) {
  EXPECT_LE(plan.total_bytes(), budget);
  ASSERT_EQ(plan.resident_rows.size(), weights.size());
  uint64_t resident = 0, streamed = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    ASSERT_LE(plan.resident_rows[i], weights[i].rows);
    if (plan.resident_rows[i] != weights[i].rows) {
      EXPECT_EQ(plan.resident_rows[i] % kRowGroup, 0u);
      EXPECT_LE(std::min(weights[i].rows, kRowGroup) * weights[i].row_bytes, plan.segment_bytes);
    }
    EXPECT_LE(weights[i].ScratchBytes(std::min(weights[i].rows, kRowGroup)), plan.scratch_bytes);
    resident += AlignUp(weights[i].ResidentBytes(plan.resident_rows[i]), PageBytes());
    if (!weights[i].experts) streamed += (weights[i].rows - plan.resident_rows[i]) * weights[i].row_bytes;
  }
  EXPECT_EQ(resident, plan.resident_bytes);
  EXPECT_EQ(streamed, plan.streamed_bytes);
  EXPECT_GE(plan.ring_bytes, 3 * plan.segment_bytes);
  EXPECT_GE(plan.scratch_bytes, plan.segment_bytes);
}

TEST(Residency, UsesTheBudgetAndSpreadsEvenly) {
  const auto weights = LlamaShape();
  const uint64_t budget = 1536 * kMiB;
  const auto plan = PlanResidency(weights, budget);
  ASSERT_TRUE(plan.ok());
  ExpectSound(weights, *plan, budget);
  EXPECT_GE(plan->total_bytes(), budget - kMiB);
  // In any half of the pass about half of the streamed bytes are read.
  uint64_t first_half = 0;
  for (size_t i = 0; i < weights.size() / 2; ++i) {
    first_half += (weights[i].rows - plan->resident_rows[i]) * weights[i].row_bytes;
  }
  EXPECT_NEAR(static_cast<double>(first_half) / static_cast<double>(plan->streamed_bytes), 0.5, 0.03);
}

TEST(Residency, EverythingResidentWhenItFits) {
  const auto weights = LlamaShape();
  const auto plan = PlanResidency(weights, Total(weights) + kGiB);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->streamed_bytes, 0u);
}

TEST(Residency, FloorWorksAndBelowItIsRefusedWithTheArithmetic) {
  const auto weights = LlamaShape();
  const uint64_t floor = FloorBytes(weights);
  EXPECT_LT(floor, 4 * kMiB);
  const auto plan = PlanResidency(weights, floor);
  ASSERT_TRUE(plan.ok());
  ExpectSound(weights, *plan, floor);
  const auto refused = PlanResidency(weights, floor - 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kOutOfBudget);
  EXPECT_NE(refused.status().message().find(FormatSize(floor)), std::string::npos);
}

TEST(Residency, MoreBudgetNeverStreamsMore) {
  const auto weights = LlamaShape();
  uint64_t previous = UINT64_MAX;
  for (uint64_t budget = 2 * FloorBytes(weights); budget < 5 * kGiB; budget += 97 * kMiB) {
    const auto plan = PlanResidency(weights, budget);
    ASSERT_TRUE(plan.ok());
    ExpectSound(weights, *plan, budget);
    EXPECT_LE(plan->streamed_bytes, previous) << FormatSize(budget);
    previous = plan->streamed_bytes;
  }
}

// Rows that are larger in memory by an eighth: what is read is the file's, what is paid for the memory's.
TEST(Residency, LargerRowsInMemoryStreamMore) {
  auto weights = LlamaShape();
  const uint64_t budget = 2 * kGiB;
  const auto file = PlanResidency(weights, budget);
  for (WeightExtent& weight : weights) weight.resident_row_bytes = weight.scratch_row_bytes = weight.row_bytes / 8 * 9;
  const auto larger = PlanResidency(weights, budget);
  ASSERT_TRUE(file.ok() && larger.ok());
  ExpectSound(weights, *larger, budget);
  EXPECT_GE(larger->total_bytes(), budget - kMiB);
  const auto read = [&](const ResidencyPlan& plan) {
    return static_cast<double>(Total(weights) - plan.streamed_bytes);
  };
  EXPECT_NEAR(read(*larger) / read(*file), 8.0 / 9, 0.01);
  EXPECT_EQ(PlanResidency(weights, Total(weights) + kGiB)->streamed_bytes, 0u);
  EXPECT_GT(FloorBytes(weights), FloorBytes(LlamaShape()));
}

TEST(Residency, ASmallModelIsResidentBeforeALargeOne) {
  auto weights = LlamaShape(0);
  const size_t draft = weights.size();
  for (int i = 0; i < 8; ++i) weights.push_back({2048, 1152, 1});
  const auto plan = PlanResidency(weights, kGiB);
  ASSERT_TRUE(plan.ok());
  ExpectSound(weights, *plan, kGiB);
  for (size_t i = draft; i < weights.size(); ++i) EXPECT_EQ(plan->resident_rows[i], weights[i].rows);
  EXPECT_GT(plan->streamed_bytes, 0u);
}

TEST(Residency, ADraftIsResidentAlsoWhereItTakesMostOfTheBudget) {
  auto weights = LlamaShape(0);
  const size_t draft = weights.size();
  uint64_t bytes = 0;
  for (int i = 0; i < 80; ++i) bytes += weights.emplace_back(WeightExtent{8192, 1152, 1}).bytes();
  const uint64_t budget = bytes + 100 * kMiB;
  const auto plan = PlanResidency(weights, budget);
  ASSERT_TRUE(plan.ok());
  ExpectSound(weights, *plan, budget);
  for (size_t i = draft; i < weights.size(); ++i) EXPECT_EQ(plan->resident_rows[i], weights[i].rows);
}

TEST(Residency, ExpertsHaveWhatTheOthersLeave) {
  std::vector<WeightExtent> weights;
  for (int i = 0; i < 8; ++i) {
    weights.push_back({2048, 1152, 0});
    weights.push_back({128 * 768, 1152, 0, true});
  }
  const uint64_t shared = 8 * 2048 * 1152;
  auto plan = PlanResidency(weights, 200 * kMiB);
  ASSERT_TRUE(plan.ok());
  ExpectSound(weights, *plan, 200 * kMiB);
  EXPECT_EQ(plan->streamed_bytes, 0u);
  EXPECT_EQ(plan->resident_bytes, shared);
  EXPECT_EQ(plan->total_bytes(), 200 * kMiB);
  EXPECT_GT(plan->expert_cache_bytes, 100 * kMiB);
  // With less than the others need, they stream and there is no cache.
  plan = PlanResidency(weights, 16 * kMiB);
  ASSERT_TRUE(plan.ok());
  EXPECT_GT(plan->streamed_bytes, 0u);
  EXPECT_LT(plan->expert_cache_bytes, kMiB);
}

TEST(Residency, RandomShapesStayWithinTheirBudget) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<WeightExtent> weights(1 + random() % 40);
    for (auto& weight : weights) {
      weight = {1 + random() % 3000, 4 * (1 + random() % 3000), static_cast<uint32_t>(random() % 3)};
      // Some need more memory than they have bytes in the file, resident and in scratch or in scratch alone.
      if (random() % 3 != 0) continue;
      weight.scratch_row_bytes = weight.row_bytes + 4 * (random() % weight.row_bytes);
      if (random() % 2 == 0) weight.resident_row_bytes = weight.scratch_row_bytes;
    }
    const uint64_t floor = FloorBytes(weights);
    const uint64_t budget = floor + random() % (2 * Total(weights) + 1);
    const auto plan = PlanResidency(weights, budget);
    ASSERT_TRUE(plan.ok());
    ExpectSound(weights, *plan, budget);
  }
}

TEST(Prediction, DecodeIsBoundByTheSlowerOfDiskAndKernels) {
  ResidencyPlan plan;
  plan.resident_bytes = 1000;
  plan.streamed_bytes = 3000;
  MachineProfile machine;
  machine.disk_bytes_per_s = 1000;
  machine.decode_bytes_per_s = 8000;
  auto prediction = Predict(plan, machine, 1, 0, 0);
  EXPECT_TRUE(prediction.disk_bound);
  EXPECT_DOUBLE_EQ(prediction.decode_tokens_per_s, 1 / 3.0);
  machine.decode_bytes_per_s = 1000;
  prediction = Predict(plan, machine, 1, 0, 0);
  EXPECT_FALSE(prediction.disk_bound);
  EXPECT_DOUBLE_EQ(prediction.decode_tokens_per_s, 0.25);
}

TEST(Prediction, ACacheServesItsShareOfTheExperts) {
  ResidencyPlan plan;
  plan.resident_bytes = 1000;
  plan.expert_cache_bytes = 2000;
  MachineProfile machine;
  machine.disk_bytes_per_s = 1000;
  machine.decode_bytes_per_s = 1e6;
  ExpertHabits even;
  even.popularity.fill(1.0 / ExpertHabits::kParts);
  even.again = 0;
  const auto prediction = Predict(plan, machine, 1, 1024, 512, ExpertDemand(8000, 800, even));
  EXPECT_DOUBLE_EQ(prediction.decode_tokens_per_s, 1 / 0.6);  // three quarters of 800 are absent
  EXPECT_DOUBLE_EQ(prediction.prompt_tokens_per_s, 1024 / 12.0);
  EXPECT_DOUBLE_EQ(prediction.first_token_s, 9 + 6);
}

TEST(Prediction, PromptPassesReadTheStreamedShareOnceEach) {
  ResidencyPlan plan;
  plan.resident_bytes = 1000;
  plan.streamed_bytes = 3000;
  MachineProfile machine;
  machine.disk_bytes_per_s = 1000;
  const auto prediction = Predict(plan, machine, 1, 1024, 512);
  EXPECT_DOUBLE_EQ(prediction.prompt_tokens_per_s, 1024 / 6.0);
  EXPECT_DOUBLE_EQ(prediction.first_token_s, 4 + 3);
}

TEST(Residency, TheFloorHasRoomForAnExpertsColumns) {
  const std::vector<WeightExtent> weights = {{64, 4096, 0, true}};
  constexpr uint64_t kColumns = 5 * kMiB;
  const uint64_t floor = FloorBytes(weights, kColumns);
  EXPECT_TRUE(PlanResidency(weights, floor, kColumns).ok());
  EXPECT_FALSE(PlanResidency(weights, floor - 1, kColumns).ok());
  EXPECT_FALSE(PlanResidency(weights, FloorBytes(weights), kColumns).ok());
}

TEST(PlanResidency, ReadsMoreAheadFromSeveralDrivesWithinTheBudget) {
  const std::vector<WeightExtent> weights(40, WeightExtent{4096, 1024});
  const uint64_t floor = FloorBytes(weights);
  for (uint64_t budget = floor; budget < 200 * kMiB; budget += budget / 3) {
    uint64_t before = 0;
    for (const uint64_t drives : {1, 2, 3, 9}) {
      const auto plan = PlanResidency(weights, budget, 0, drives);
      ASSERT_TRUE(plan.ok()) << budget << " " << drives << ": " << plan.status().message();
      EXPECT_LE(plan->total_bytes(), budget);
      EXPECT_GE(plan->ring_bytes, before);
      before = plan->ring_bytes;
    }
  }
  EXPECT_EQ(PlanResidency(weights, 96 * kMiB, 0, 1)->ring_bytes, 8 * kMiB);
  EXPECT_EQ(PlanResidency(weights, 96 * kMiB, 0, 2)->ring_bytes, 16 * kMiB);
}

TEST(DriveBufferBytes, AreASmallPartOfTheBudgetForSeveralDrivesOnly) {
  EXPECT_EQ(DriveBufferBytes(kGiB, 1), 0u);
  EXPECT_EQ(DriveBufferBytes(64 * kMiB, 2), 512 * kKiB);
  EXPECT_EQ(DriveBufferBytes(kGiB, 2), 4 * kMiB);
  EXPECT_EQ(DriveBufferBytes(UINT64_MAX, 3), 4 * kMiB);
  EXPECT_EQ(DriveBufferBytes(0, 2), 128 * kKiB) << "reads need some";
}

}  // namespace
}  // namespace headrace
