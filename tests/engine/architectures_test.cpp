// Every architecture that upstream's test-llama-archs can write: tiny random models, dense and with experts,
// F32 as they are written or quantized. One run takes a fraction of a second; the models are spread over a few
// tests.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

constexpr int kShards = 6;

struct Shard {
  int index;
  bool repack;
  bool whole_matrix;  // more prompts and budgets
  const char* type;   // to quantize to, "" for F32
};

std::ostream& operator<<(std::ostream& out, const Shard& shard) {
  return out << (shard.repack ? "repacked " : "plain ") << shard.type << " part " << shard.index;
}

class Architectures : public ::testing::TestWithParam<Shard> {
 protected:
  static Work WorkFor(const std::string& model) {
    Work work;
    work.model = model;
    work.repack = GetParam().repack;
    work.prompts = {1, 33};
    work.decode = 2;
    if (GetParam().whole_matrix) work.prompts = {1, 2, 7, 64, 120};  // some have learned positions for 128
    return work;
  }

  // True when the model really streamed under one budget at least. Every run that succeeds must be exact.
  bool Check(const Work& work) {
    const EngineRun stock = RunStock(work);
    if (!stock.child.Ok()) {
      // A few quantized tensors have no kernel for what their architecture does with them.
      if (*GetParam().type != '\0' && stock.child.signal == SIGABRT && ++stock_aborts_ <= 1) return true;
      ADD_FAILURE() << "stock llama.cpp failed\n" << stock.child.Describe();
      return false;
    }
    const uint64_t everything = 4 * FileBytes(work.model) + (64u << 20);
    const EngineRun resident = RunStreamed(work, everything);
    EXPECT_TRUE(SameBytes(stock, resident)) << "everything resident";
    EXPECT_TRUE(ReallyManaged(resident, everything, work.Passes()));
    if (!resident.snapshot) return false;
    // Of the weights that headrace manages: experts may be left to the mapping.
    const uint64_t weights = (*resident.snapshot)->weight_bytes;
    bool streamed = false;
    for (const uint64_t tenths : {3u, 6u, 9u}) {
      if (streamed && !GetParam().whole_matrix) break;
      const uint64_t budget = weights * tenths / 10;
      const EngineRun run = RunStreamed(work, budget);
      if (!run.child.Ok() && FailedCleanly(stock, run)) continue;  // too little for this model
      EXPECT_TRUE(SameBytes(stock, run)) << "budget " << budget;
      streamed |= static_cast<bool>(ReallyStreamed(run, budget, work.Passes()));
    }
    return streamed;
  }

  int stock_aborts_ = 0;
};

TEST_P(Architectures, EqualStock) {
  std::string error;
  const std::vector<std::string> models = ArchitectureModels(&error);
  ASSERT_GT(models.size(), 100u) << error;
  std::string resident_only;
  for (size_t i = 0; i < models.size(); ++i) {
    if (static_cast<int>(i % kShards) != GetParam().index) continue;
    const std::string name = std::filesystem::path(models[i]).filename().string();
    SCOPED_TRACE(name);
    // Experts stay in the mapping's plain layout: experts_test.cpp says what then holds.
    if (GetParam().repack && name.ends_with("-moe.gguf")) continue;
    ModelFile model{models[i], ""};
    if (*GetParam().type != '\0') model = QuantizedModel(models[i], GetParam().type);
    ASSERT_NE(model.path, "") << model.error;
    if (!Check(WorkFor(model.path))) resident_only += " " + name;
  }
  EXPECT_EQ(resident_only, "") << "these did not stream under any budget";
}

std::vector<Shard> Shards(bool repack, bool whole_matrix, const char* type) {
  std::vector<Shard> shards;
  for (int i = 0; i < kShards; ++i) shards.push_back({i, repack, whole_matrix, type});
  return shards;
}

std::string ShardName(const ::testing::TestParamInfo<Shard>& info) {
  return std::string(info.param.repack ? "repack_" : "plain_") + std::to_string(info.param.index);
}

INSTANTIATE_TEST_SUITE_P(Plain, Architectures, ::testing::ValuesIn(Shards(false, false, "")), ShardName);
INSTANTIATE_TEST_SUITE_P(Slow, Architectures, ::testing::ValuesIn(Shards(false, true, "")), ShardName);
INSTANTIATE_TEST_SUITE_P(SlowQ4_0, Architectures, ::testing::ValuesIn(Shards(false, false, "Q4_0")), ShardName);
INSTANTIATE_TEST_SUITE_P(SlowQ4_0Repacked, Architectures, ::testing::ValuesIn(Shards(true, true, "Q4_0")), ShardName);
INSTANTIATE_TEST_SUITE_P(SlowF32Repacked, Architectures, ::testing::ValuesIn(Shards(true, false, "")), ShardName);

}  // namespace
}  // namespace headrace::testing
