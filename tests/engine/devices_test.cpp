// Devices beside the processor: a Vulkan device in software, BLAS, and a device of an RPC server. With the same
// placement every logit is stock llama.cpp's, bit for bit (--repack 0 and --kernels plain), and what stays on the
// processor streams.
#include "rpc_child.h"

#include <gtest/gtest.h>

#include "base/size.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

const std::string kDense = "austen-dense-q4_0.gguf";
const std::string kExperts = "austen-moe-q4_0.gguf";
const std::string kTied =
    "tied";  // a small model with Q4_0 layers and one table of another type that is embedding and output

constexpr const char* kAllLayers = "99";
constexpr const char* kAllExperts = "_exps";

struct Placement {
  const char* name;
  std::string model;
  std::vector<std::string> arguments;  // of logits_dump
  bool streams = true;                 // the processor multiplies with managed weights
  bool from_memory = false;            // some of what is copied to the device is in memory already
};

std::ostream& operator<<(std::ostream& out, const Placement& placement) { return out << placement.name; }

// The software device takes 0.1 s for a token of a prompt, more with experts: batches are narrow, and go to the device
// from 4 columns on instead of 32.
const std::map<std::string, std::string> kNarrowOffload = {{"GGML_OP_OFFLOAD_MIN_BATCH", "4"}};

std::string PathOf(const std::string& model) {
  if (model != kTied) return BundledModel(model);
  const ModelFile file = MixedModel("austen-draft-f16.gguf", "Q4_0");
  EXPECT_NE(file.path, "") << file.error;
  return file.path;
}

Work WorkOf(const Placement& placement, const Device& device) {
  Work work;
  work.model = PathOf(placement.model);
  work.prompts = {1, placement.model == kExperts ? 6 : 12};
  work.decode = 1;
  work.more = placement.arguments;
  work.timeout = std::chrono::seconds(400);
  work.environment = device.environment;
  for (const auto& [name, value] : kNarrowOffload) work.environment[name] = value;
  return work;
}

void ExpectStocksBits(const Work& work, const EngineRun& stock, const Placement& placement) {
  ASSERT_TRUE(stock.child.Ok()) << stock.child.Describe();
  const uint64_t budget = FileBytes(work.model) / 3;
  const EngineRun run = RunStreamed(work, budget);
  EXPECT_TRUE(SameBytes(stock, run));
  if (placement.streams) {
    EXPECT_TRUE(ReallyManaged(run, budget, work.Passes() - 1)) << "the widest pass may be the device's alone";
  }
  ASSERT_TRUE(run.snapshot);
  const Snapshot& s = **run.snapshot;
  EXPECT_GT(s.uploaded_bytes, 0u);
  EXPECT_LT(s.uploaded_from_memory_bytes, s.uploaded_bytes);
  if (placement.from_memory) {
    EXPECT_GT(s.uploaded_from_memory_bytes, 0u);
  }
}

class Vulkan : public ::testing::TestWithParam<Placement> {};

TEST_P(Vulkan, EqualsStock) {
  const Device device = VulkanDevice();
  HEADRACE_NEEDS(device);
  const Work work = WorkOf(GetParam(), device);
  const EngineRun stock = RunStock(work);
  ExpectStocksBits(work, stock, GetParam());
  // Otherwise all of this would be compared with the processor alone.
  Work alone = work;
  alone.environment.clear();
  EXPECT_NE(RunStock(alone).dump, stock.dump) << "the device computed nothing";
}

INSTANTIATE_TEST_SUITE_P(
    Placed, Vulkan,
    ::testing::Values(Placement{"dense_half_of_the_layers", kDense, {"--gpu-layers", "3"}, true, true},
                      Placement{"dense_half_without_op_offload", kDense, {"--gpu-layers", "3", "--op-offload", "0"}},
                      Placement{"dense_no_layer", kDense, {}, true, true},
                      Placement{"dense_all_layers", kDense, {"--gpu-layers", kAllLayers}, false},
                      Placement{"tied_half_of_the_layers", kTied, {"--gpu-layers", "2"}, true, true},
                      Placement{"tied_no_layer", kTied, {}, true, true},
                      Placement{"tied_all_layers", kTied, {"--gpu-layers", kAllLayers}, false},
                      Placement{"experts_half_of_the_layers", kExperts, {"--gpu-layers", "3"}, true, true},
                      Placement{"experts_on_the_processor",
                                kExperts,
                                {"--gpu-layers", kAllLayers, "--on-processor", kAllExperts},
                                true,
                                true},
                      Placement{"experts_on_the_processor_without_op_offload",
                                kExperts,
                                {"--gpu-layers", kAllLayers, "--on-processor", kAllExperts, "--op-offload", "0"}},
                      Placement{"experts_of_three_layers_on_the_processor",
                                kExperts,
                                {"--gpu-layers", kAllLayers, "--on-processor", "blk\\.[0-2]\\..*_exps"},
                                true,
                                true},
                      Placement{"experts_in_the_engines_cache",
                                kExperts,
                                {"--gpu-layers", kAllLayers, "--on-processor", kAllExperts, "--moe-cache-kib", "4096"},
                                false,
                                true},
                      Placement{"experts_in_a_small_cache",
                                kExperts,
                                {"--gpu-layers", kAllLayers, "--on-processor", kAllExperts, "--moe-cache-kib", "1024"},
                                false,
                                true}),
    [](const auto& placement) { return std::string(placement.param.name); });

// The device computes the routers: copies of them say which experts the next layer will choose.
TEST(VulkanRouters, AreLookedAtAhead) {
  const Device device = VulkanDevice();
  HEADRACE_NEEDS(device);
  constexpr uint64_t kBudget = 4 * kMiB;  // in which some experts must be read for each token
  constexpr int kLayers = 6, kChosen = 4;
  Work work = WorkOf({"", kExperts, {"--gpu-layers", kAllLayers, "--on-processor", kAllExperts}}, device);
  work.prompts = {1};
  work.decode = 3;
  const EngineRun run = RunStreamed(work, kBudget, {{"HEADRACE_DEBUG", "1"}});
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  EXPECT_TRUE(SameBytes(RunStock(work), run));
  // The first layer of a pass has none before it.
  EXPECT_NE(run.child.err.find(" of " + std::to_string((kLayers - 1) * kChosen) + " foreseen"), std::string::npos)
      << run.child.err;
  EXPECT_EQ(run.child.err.find("; 0 of " + std::to_string((kLayers - 1) * kChosen) + " foreseen"), std::string::npos)
      << run.child.err;
}

class VulkanFails : public ::testing::Test {
 protected:
  // With that fault, and what stock does.
  void ExpectCleanFailure(const Placement& placement, const std::string& fault, const char* said) {
    const Device device = VulkanDevice();
    HEADRACE_NEEDS(device);
    const Work work = WorkOf(placement, device);
    const EngineRun stock = RunStock(work);
    const EngineRun run = RunStreamed(work, FileBytes(work.model) / 3, {{"HEADRACE_FAULT", fault}});
    EXPECT_TRUE(FailedCleanly(stock, run));
    EXPECT_NE(run.child.err.find(said), std::string::npos) << run.child.err;
  }
};

TEST_F(VulkanFails, WhenWeightsCannotBeReadWhileTheModelIsLoaded) {
  ExpectCleanFailure({"", kDense, {"--gpu-layers", kAllLayers}}, "after=2,errno=EIO",
                     "weights are missing on a device");
}

TEST_F(VulkanFails, WhenTheFileEndsWhileTheModelIsLoaded) {
  ExpectCleanFailure({"", kDense, {"--gpu-layers", kAllLayers}}, "after=2,truncated=1",
                     "weights are missing on a device");
}

// The first pass is narrow, and all the processor's.
TEST_F(VulkanFails, WhenWeightsCannotBeReadForAWideBatch) {
  ExpectCleanFailure({"", kDense, {}}, "after=40,errno=EIO", "austen-dense-q4_0.gguf");
  ExpectCleanFailure({"", kExperts, {}}, "after=150,errno=EIO", "austen-moe-q4_0.gguf");
}

// BLAS takes products of 32 and more columns. While weights stream the processor's backend computes them: the bits are
// those of an engine without BLAS.
class Blas : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, Blas, ::testing::Values(kDense, kTied, kExperts), [](const auto& model) {
  return model.param == kDense ? "dense" : model.param == kTied ? "tied" : "experts";
});

TEST_P(Blas, LeavesWhatStreamsToTheProcessor) {
  const Device device = BlasDevice();
  HEADRACE_NEEDS(device);
  Work work;
  work.model = PathOf(GetParam());
  work.prompts = {1, 7, 31, 32, 100};
  const EngineRun without = RunStock(work);
  work.environment = device.environment;
  EXPECT_NE(RunStock(work).dump, without.dump) << "BLAS computed nothing";
  for (const uint64_t budget : {FileBytes(work.model) / 3, 3 * FileBytes(work.model)}) {
    SCOPED_TRACE(::testing::Message() << "budget " << budget);
    const EngineRun run = RunStreamed(work, budget);
    EXPECT_TRUE(SameBytes(without, run));
    EXPECT_TRUE(budget < FileBytes(work.model) ? ReallyStreamed(run, budget, work.Passes())
                                               : ReallyManaged(run, budget, work.Passes()));
    EXPECT_EQ(run.child.err, "");
  }
}

class Rpc : public ::testing::TestWithParam<Placement> {};

TEST_P(Rpc, EqualsStock) {
  const Device device = RpcDevice();
  HEADRACE_NEEDS(device);
  const RpcServer server;
  ASSERT_NE(server.endpoint(), "") << server.error();
  Work work = WorkOf(GetParam(), device);
  work.more.insert(work.more.end(), {"--rpc", server.endpoint()});
  ExpectStocksBits(work, RunStock(work), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Placed, Rpc,
                         ::testing::Values(Placement{"dense_half_of_the_layers", kDense, {"--gpu-layers", "3"}},
                                           Placement{"dense_all_layers", kDense, {"--gpu-layers", kAllLayers}, false},
                                           Placement{"tied_half_of_the_layers", kTied, {"--gpu-layers", "2"}},
                                           Placement{"experts_half_of_the_layers", kExperts, {"--gpu-layers", "3"}},
                                           Placement{
                                               "experts_all_layers", kExperts, {"--gpu-layers", kAllLayers}, false},
                                           Placement{"experts_on_the_processor",
                                                     kExperts,
                                                     {"--gpu-layers", kAllLayers, "--on-processor", kAllExperts}}),
                         [](const auto& placement) { return std::string(placement.param.name); });

}  // namespace
}  // namespace headrace::testing
