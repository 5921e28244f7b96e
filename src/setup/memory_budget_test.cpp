#include "setup/memory_budget.h"

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

// One weight of 256 MiB whose floor is about 4 MiB.
ModelWeights Weights() {
  ModelWeights weights;
  weights.extents = {{16384, 16384, 0, false}};
  weights.managed_bytes = weights.extents[0].bytes();
  weights.widest = "output.weight";
  weights.widest_group_bytes = kRowGroup * 16384;
  return weights;
}
constexpr uint64_t kWeightBytes = 256 * kMiB;

EngineMemory Engine(uint64_t context_bytes) {
  EngineMemory engine;
  engine.context_bytes = context_bytes;
  engine.compute_bytes = 50 * kMiB;
  engine.engine_bytes = 20 * kMiB;
  return engine;
}

MemoryLimits Process(uint64_t bytes, FlashMode mode = FlashMode::kAuto) {
  return {mode, bytes, 0, "--ram", "--weights-ram"};
}

MemoryBudget Divide(const MemoryLimits& limits, const EngineMemory& engine = Engine(30 * kMiB)) {
  return DivideMemory(limits, Weights(), kWeightBytes, engine);
}

TEST(DivideMemory, WeightsGetWhatTheRestLeaves) {
  const MemoryBudget budget = Divide(Process(300 * kMiB));
  EXPECT_TRUE(budget.streams);
  EXPECT_EQ(budget.weights_budget_bytes, 200 * kMiB - kStreamingBytes);
  EXPECT_EQ(budget.peak_bytes(), 300 * kMiB);
  EXPECT_EQ(budget.everything_bytes, 356 * kMiB);
  EXPECT_EQ(budget.least_bytes, FloorBytes(Weights().extents) + 100 * kMiB + kStreamingBytes);
}

TEST(DivideMemory, StreamsExactlyWhenWeightsAndRestDoNotFit) {
  EXPECT_FALSE(Divide(Process(356 * kMiB)).streams);
  EXPECT_TRUE(Divide(Process(356 * kMiB - 1)).streams);
  EXPECT_TRUE(Divide(Process(kGiB, FlashMode::kOn)).streams);
  EXPECT_FALSE(Divide(Process(kMiB, FlashMode::kOff)).streams);
  EXPECT_EQ(Divide(Process(kGiB)).peak_bytes(), 356 * kMiB) << "no more than there is";
  EXPECT_FALSE(Divide({FlashMode::kAuto, 0, kWeightBytes, "", ""}).streams);
  EXPECT_TRUE(Divide({FlashMode::kAuto, 0, kWeightBytes - 1, "", ""}).streams);
}

TEST(DivideMemory, BothLimitsHold) {
  EXPECT_EQ(Divide({FlashMode::kAuto, 300 * kMiB, 150 * kMiB, "", ""}).weights_budget_bytes, 150 * kMiB);
  EXPECT_EQ(Divide({FlashMode::kAuto, 200 * kMiB, 150 * kMiB, "", ""}).weights_budget_bytes,
            100 * kMiB - kStreamingBytes);
}

// Half of the weights is on devices.
TEST(DivideMemory, WhatIsOnDevicesNeedsNoMemoryButItsLoadingDoes) {
  ModelWeights weights = Weights();
  weights.device_bytes = 256 * kMiB;
  const auto divide = [&](uint64_t bytes) {
    return DivideMemory(Process(bytes), weights, 2 * kWeightBytes, Engine(30 * kMiB));
  };
  MemoryBudget budget = divide(400 * kMiB);
  EXPECT_TRUE(budget.streams) << "as a whole it has no room";
  EXPECT_EQ(budget.weight_bytes, kWeightBytes);
  EXPECT_EQ(budget.device_weight_bytes, 256 * kMiB);
  EXPECT_EQ(budget.everything_bytes, 356 * kMiB);
  EXPECT_FALSE(budget.loads_only);
  const std::string text = DescribeDecision(budget, Process(400 * kMiB));
  EXPECT_NE(text.find("weights stream, 256 MiB of weights and "), std::string::npos) << text;
  EXPECT_NE(text.find(", beside 256 MiB on devices exceed 400 MiB (--ram)"), std::string::npos) << text;
  EXPECT_FALSE(divide(612 * kMiB).streams);
  EXPECT_TRUE(divide(612 * kMiB - 1).streams);
}

TEST(DivideMemory, AModelThatIsOnDevicesAsAWholeStreamsWhileItLoads) {
  ModelWeights weights;
  weights.other_bytes = 10 * kMiB;
  weights.device_bytes = 500 * kMiB;
  const MemoryBudget budget = DivideMemory(Process(300 * kMiB), weights, 510 * kMiB, Engine(0));
  EXPECT_TRUE(budget.streams);
  EXPECT_TRUE(budget.loads_only);
  EXPECT_FALSE(FindShortage(budget, Process(300 * kMiB), weights, 0, nullptr));
  // What is loaded goes through memory.
  const uint64_t least = 70 * kMiB + kStreamingBytes + kLoadingBytes;
  EXPECT_EQ(budget.least_bytes, least);
  const auto shortage = [&](uint64_t bytes) {
    return FindShortage(DivideMemory(Process(bytes), weights, 510 * kMiB, Engine(0)), Process(bytes), weights, 0,
                        nullptr);
  };
  EXPECT_FALSE(shortage(least));
  ASSERT_TRUE(shortage(least - 1));
  EXPECT_NE(
      DescribeShortage(*shortage(least - 1)).find("8.00 MiB through which weights of devices are loaded, KV cache 0 B"),
      std::string::npos)
      << DescribeShortage(*shortage(least - 1));
  const MemoryLimits few{FlashMode::kAuto, 300 * kMiB, kMiB, "--ram", "--weights-ram"};
  EXPECT_FALSE(FindShortage(DivideMemory(few, weights, 510 * kMiB, Engine(0)), few, weights, 0, nullptr))
      << "a limit on weights is for those that stay";
  const std::string text = DescribeDecision(budget, Process(300 * kMiB));
  EXPECT_NE(text.find("all layers are on devices: their 500 MiB stream while they are loaded, nothing does afterwards"),
            std::string::npos)
      << text;
}

TEST(DivideMemory, DraftAndProjectorCount) {
  EngineMemory engine = Engine(30 * kMiB);
  engine.draft_weight_bytes = 10 * kMiB;
  engine.projector_bytes = 5 * kMiB;
  EXPECT_EQ(Divide(Process(kGiB), engine).everything_bytes, 371 * kMiB);
}

// 400 MiB of keys and values.
TEST(PutContextInFile, MemoryForKvCachesBoundsTheirPart) {
  MemoryLimits limits = Process(300 * kMiB);
  EngineMemory engine = Engine(400 * kMiB);
  EXPECT_TRUE(PutContextInFile(limits, 10, engine).ok());
  EXPECT_EQ(engine.context_bytes, 400 * kMiB) << "no folder for them";
  limits.kv_bytes = 400 * kMiB;
  EXPECT_TRUE(PutContextInFile(limits, 10, engine).ok());
  EXPECT_EQ(engine.context_file_bytes, 0u) << "it fits";
  limits.kv_bytes = 60 * kMiB;
  EXPECT_TRUE(PutContextInFile(limits, 10, engine).ok());
  EXPECT_EQ(engine.context_bytes, 60 * kMiB);
  EXPECT_EQ(engine.context_file_bytes, 400 * kMiB);
  const MemoryBudget budget = Divide(limits, engine);
  EXPECT_EQ(budget.weights_budget_bytes, 170 * kMiB - kStreamingBytes);
  EXPECT_NE(DescribeRest(budget).find("KV cache 60.0 MiB (in memory; 400 MiB in a file), "), std::string::npos)
      << DescribeRest(budget);
}

TEST(PutContextInFile, OneLayerMustFit) {
  MemoryLimits limits = Process(300 * kMiB);
  limits.kv_bytes = 40 * kMiB;
  EngineMemory engine = Engine(400 * kMiB);
  EXPECT_TRUE(PutContextInFile(limits, 10, engine).ok());
  engine = Engine(400 * kMiB);
  limits.kv_bytes -= 1;
  const Status status = PutContextInFile(limits, 10, engine);
  EXPECT_EQ(status.code(), Code::kOutOfBudget);
  EXPECT_NE(status.message().find("400 MiB for 10 layers"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("--kv-ram 40M"), std::string::npos) << status.message();
  // Where the layers' number says nothing, the library decides.
  engine = Engine(400 * kMiB);
  EXPECT_TRUE(PutContextInFile(limits, 0, engine).ok());
  engine = Engine(400 * kMiB);
  engine.draft_weight_bytes = kMiB;
  EXPECT_TRUE(PutContextInFile(limits, 10, engine).ok());
}

TEST(FindShortage, SaysTheArithmeticAndOnlyRemediesThatWork) {
  const MemoryLimits limits = Process(110 * kMiB);
  const MemoryBudget budget = Divide(limits, Engine(400 * kMiB));
  const auto proportional = [](const EngineArguments& more) -> std::optional<EngineMemory> {
    if (const uint64_t tokens = more.Number(OptionId::kContext); tokens > 0) return Engine(400 * kMiB * tokens / 8192);
    if (more.Has(OptionId::kUbatch)) return std::nullopt;
    return Engine(200 * kMiB);
  };
  const auto shortage = FindShortage(budget, limits, Weights(), 8192, proportional);
  ASSERT_TRUE(shortage);
  EXPECT_EQ(shortage->remedies.process_bytes, budget.least_bytes);
  EXPECT_EQ(shortage->remedies.context_tokens, 512u);
  EXPECT_FALSE(shortage->remedies.quantized_cache || shortage->remedies.narrow_batches);
  const std::string text = DescribeShortage(*shortage);
  EXPECT_NE(text.find("110 MiB (--ram) is too little: 4.01 MiB for weights at least"), std::string::npos) << text;
  EXPECT_NE(text.find("KV cache 400 MiB, buffers 50.0 MiB, engine 20.0 MiB, streaming 3.00 MiB = 477 MiB"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("give at least --ram 478M"), std::string::npos) << text;
  EXPECT_NE(text.find("-c 512"), std::string::npos) << text;
  EXPECT_EQ(text.find("quantized"), std::string::npos) << "it would not be enough: " << text;
  EXPECT_EQ(text.find("-ub"), std::string::npos) << text;
  EXPECT_FALSE(FindShortage(Divide(Process(478 * kMiB), Engine(400 * kMiB)), Process(478 * kMiB), Weights(), 8192,
                            proportional));
  EXPECT_TRUE(FindShortage(Divide(Process(477 * kMiB), Engine(400 * kMiB)), Process(477 * kMiB), Weights(), 8192,
                           proportional));
}

TEST(FindShortage, NamesADraftThatDoesNotFit) {
  EngineMemory engine = Engine(50 * kMiB);
  engine.draft_weight_bytes = 40 * kMiB;
  engine.draft_rest_bytes = 20 * kMiB;
  const auto shortage = [&](uint64_t bytes) {
    return FindShortage(Divide(Process(bytes), engine), Process(bytes), Weights(), 8192,
                        [&](const auto&) { return std::optional(engine); });
  };
  // The rest, the smallest ring and the draft.
  const uint64_t least = Divide(Process(kMiB), engine).least_bytes;
  EXPECT_FALSE(shortage(least));
  const auto found = shortage(least - 1);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->remedies.no_draft);
  const std::string text = DescribeShortage(*found);
  EXPECT_NE(text.find("40.0 MiB for the draft model, which stays in memory"), std::string::npos) << text;
  EXPECT_NE(text.find("of these 20.0 MiB for the draft's KV cache and buffers"), std::string::npos) << text;
  EXPECT_NE(text.find("leave the draft model out"), std::string::npos) << text;
  EXPECT_TRUE(shortage(least - 60 * kMiB)->remedies.no_draft);
  EXPECT_FALSE(shortage(least - 60 * kMiB - 1)->remedies.no_draft) << "too little without it, too";
}

TEST(FindShortage, WeightsAloneNameTheirOption) {
  const MemoryLimits limits{FlashMode::kAuto, 0, kMiB, "", "--weights-ram"};
  const auto shortage = FindShortage(Divide(limits), limits, Weights(), 0, nullptr);
  ASSERT_TRUE(shortage);
  const std::string text = DescribeShortage(*shortage);
  EXPECT_NE(text.find("give at least --weights-ram "), std::string::npos) << text;
  EXPECT_NE(text.find("output.weight"), std::string::npos) << text;
}

}  // namespace
}  // namespace headrace::cli
