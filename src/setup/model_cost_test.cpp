#include "setup/model_cost.h"

#include <gtest/gtest.h>

#include "setup/test_model.h"

namespace headrace::cli {
namespace {

constexpr MachineProfile kMachine{1e9, 2e10, 1e12, 0};

// The widest that costs allow, for nobody tells what it takes.
std::optional<uint64_t> Width(const ModelSetup& model, const MachineProfile& machine,
                              const std::vector<std::string>& rest = {}, uint64_t text_bytes = 0) {
  return ChoosePromptWidth(model, *PassCostOf(model, machine, {}), rest, PromptPasses::kAlone, text_bytes, nullptr);
}

TEST(ModelCost, ADraftTakesMemoryFromItsTarget) {
  EngineMemory engine;
  engine.draft_weight_bytes = 16 * kMiB;
  const ModelSetup alone = TestModel(32 * kMiB), drafted = TestModel(32 * kMiB, FlashMode::kAuto, engine);
  EXPECT_GT(PassCostOf(drafted, kMachine, {})->Seconds(1), PassCostOf(alone, kMachine, {})->Seconds(1));
}

TEST(ModelCost, WhatWasMeasuredCounts) {
  Learned learned;
  learned.passes = {{1, 0.5}};
  EXPECT_DOUBLE_EQ(PassCostOf(TestModel(32 * kMiB), kMachine, learned)->Seconds(1), 0.5);
  EXPECT_FALSE(PassCostOf(TestModel(64 * kKiB), kMachine, learned).ok()) << "too little to stream with";
}

TEST(ModelCost, ExpertsOfAModelThatFitsAreNotRead) {
  ModelSetup model = TestModel(kGiB);
  model.weights.expert_bytes = 32 * kMiB;
  model.weights.active_expert_bytes = 8 * kMiB;
  EXPECT_EQ(PassCostOf(model, kMachine, {})->DiskSeconds(1), 0);
}

TEST(ModelCost, APromptIsAsWideAsTheDiskAsksFor) {
  const ModelSetup model = TestModel(32 * kMiB);
  MachineProfile slow_disk = kMachine;
  slow_disk.disk_bytes_per_s = 1e7;
  EXPECT_EQ(Width(model, slow_disk), 2048u);
  EXPECT_EQ(Width(model, slow_disk, {}, 300), 512u) << "all of it in one pass";
  EXPECT_EQ(Width(model, {}), 512u) << "nothing is known";
  EXPECT_EQ(Width(model, slow_disk, {"-ub", "64"}), std::nullopt) << "the user's";
  EXPECT_EQ(Width(model, slow_disk, {"-b", "64"}), std::nullopt);
  EXPECT_EQ(Width(TestModel(kGiB), slow_disk), std::nullopt) << "nothing streams";
  ModelSetup on_device = model;
  on_device.device_choice.batch_tokens = 4096;
  EXPECT_EQ(Width(on_device, slow_disk), std::nullopt) << "a device's memory has decided";
}

TEST(ModelCost, ThePersonIsToldWhatAWiderPassCosts) {
  const ModelSetup model = TestModel(32 * kMiB);
  EXPECT_NE(DescribePromptWidth(model, 2048).find("2048 tokens in a pass"), std::string::npos)
      << DescribePromptWidth(model, 2048);
  EXPECT_EQ(DescribePromptWidth(model, 512), "") << "as without us";
  EXPECT_EQ(DescribePromptWidth(model, 0), "");
}

// The usual habits, and those that earlier runs saw.
TEST(ModelCost, PopularExpertsAreReadLessOften) {
  ModelSetup model = TestModel(32 * kMiB);
  for (WeightExtent& extent : model.weights.extents) extent.experts = true;
  model.weights.expert_bytes = 64 * kMiB;
  model.weights.active_expert_bytes = 4 * kMiB;
  const auto decode = [&](const ExpertHabits& habits) {
    return PredictionOf(model, {1e9, 0, 0, 0}, 1, habits)->decode_tokens_per_s;
  };
  ExpertHabits even;
  even.popularity.fill(1.0 / ExpertHabits::kParts);
  EXPECT_GT(decode({}), 1.2 * decode(even));
  Learned learned;
  learned.experts = even;
  EXPECT_GT(PassCostOf(model, {1e9, 0, 0, 0}, learned)->DiskSeconds(1),
            PassCostOf(model, {1e9, 0, 0, 0}, {})->DiskSeconds(1));
}

TEST(ModelCost, TheFirstTokenComesEarlierWithWiderPasses) {
  ModelSetup model = TestModel(32 * kMiB);
  const double usual = PredictionOf(model, kMachine, 4096)->first_token_s;
  model.weights.batch_tokens = 2048;
  EXPECT_LT(PredictionOf(model, kMachine, 4096)->first_token_s, usual);
}

}  // namespace
}  // namespace headrace::cli
