// Every logit of stock llama.cpp, bit for bit: with --kernels plain those of --repack 0, with --kernels
// repack those of --repack 1, for the tensor types that the engine's llama-quantize writes.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/size.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

constexpr const char* kDense = "austen-dense-q4_0.gguf";
constexpr const char* kDraft = "austen-draft-f16.gguf";

struct Case {
  const char* source;
  const char* type;  // "" for the source itself
  bool repack;
};

std::ostream& operator<<(std::ostream& out, const Case& test) {
  return out << test.source << " as " << (*test.type != '\0' ? test.type : "it is")
             << (test.repack ? ", repacked" : ", plain");
}

std::string CaseName(const ::testing::TestParamInfo<Case>& info) {
  const std::string type = *info.param.type != '\0' ? info.param.type : "bundled";
  return std::string(info.param.source == kDense ? "dense_" : "draft_") + type +
         (info.param.repack ? "_repack" : "_plain");
}

class Exactness : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    work_.repack = GetParam().repack;
    if (*GetParam().type == '\0') {
      work_.model = BundledModel(GetParam().source);
      return;
    }
    const ModelFile file = QuantizedModel(GetParam().source, GetParam().type);
    ASSERT_NE(file.path, "") << file.error;
    work_.model = file.path;
  }

  // All budgets that differ: the floor, a third and two thirds of the file, and more than everything.
  std::set<uint64_t> Budgets() {
    const uint64_t floor = FloorBudget(work_);
    EXPECT_GT(floor, 0u) << "no budget works for " << work_.model;
    const uint64_t file = FileBytes(work_.model);
    everything_ = std::max(4 * file, floor) + 64 * kMiB;
    return {floor, std::max(floor, file / 3), std::max(floor, file * 2 / 3), everything_};
  }

  void Compare(const EngineRun& stock, uint64_t budget) {
    SCOPED_TRACE(::testing::Message() << "budget " << budget << ", threads " << work_.threads);
    const EngineRun run = RunStreamed(work_, budget);
    EXPECT_TRUE(SameBytes(stock, run));
    if (budget == everything_) {
      EXPECT_TRUE(ReallyManaged(run, budget, work_.Passes()));
    } else if (budget < FileBytes(work_.model)) {
      EXPECT_TRUE(ReallyStreamed(run, budget, work_.Passes()));
    }
  }

  void CompareAll(const std::vector<int>& thread_counts) {
    const std::set<uint64_t> budgets = Budgets();
    for (const int threads : thread_counts) {
      work_.threads = threads;
      const EngineRun stock = RunStock(work_);
      ASSERT_TRUE(stock.child.Ok()) << stock.child.Describe();
      // All budgets with two threads, the smallest with the other counts.
      for (const uint64_t budget : budgets) {
        if (threads == 2 || budget == *budgets.begin()) Compare(stock, budget);
      }
    }
  }

  Work work_;
  uint64_t everything_ = 0;
};

std::vector<Case> Cases(const char* source, std::initializer_list<const char*> types) {
  std::vector<Case> cases;
  for (const char* type : types) {
    for (const bool repack : {false, true}) cases.push_back({source, type, repack});
  }
  return cases;
}

TEST_P(Exactness, EqualsStock) { CompareAll({1, 2, 3}); }

INSTANTIATE_TEST_SUITE_P(Bundled, Exactness, ::testing::ValuesIn(Cases(kDense, {""})), CaseName);
INSTANTIATE_TEST_SUITE_P(Types, Exactness,
                         ::testing::ValuesIn(Cases(kDraft, {"", "Q4_0", "Q4_K_S", "Q6_K", "Q8_0", "BF16", "IQ4_NL",
                                                            "MXFP4_MOE"})),
                         CaseName);
// Every other type, on a larger source: its tensors are several tiles.
INSTANTIATE_TEST_SUITE_P(
    Slow, Exactness,
    ::testing::ValuesIn(Cases(kDense, {"F32",     "F16",    "BF16",   "Q8_0",  "Q6_K",    "Q5_K_S", "Q4_K_S",
                                       "Q4_K_M",  "Q3_K_S", "Q2_K",   "Q5_1",  "Q5_0",    "Q4_1",   "Q2_0",
                                       "Q1_0",    "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S",  "IQ2_XS",
                                       "IQ2_XXS", "IQ2_M",  "IQ1_M",  "IQ1_S", "TQ1_0",   "TQ2_0",  "MXFP4_MOE"})),
    CaseName);

class ExactnessOf : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    work_.model = BundledModel(kDense);
    work_.repack = GetParam();
  }
  // A third of the file: both resident and streamed tiles.
  void Compare() {
    const uint64_t budget = FileBytes(work_.model) / 3;
    const EngineRun run = RunStreamed(work_, budget);
    EXPECT_TRUE(SameBytes(RunStock(work_), run));
    EXPECT_TRUE(ReallyStreamed(run, budget, work_.Passes()));
  }
  Work work_;
};

INSTANTIATE_TEST_SUITE_P(Kernels, ExactnessOf, ::testing::Bool(),
                         [](const auto& kernels) { return kernels.param ? "repack" : "plain"; });

TEST_P(ExactnessOf, EveryNarrowBatch) {
  work_.prompts = {1, 2, 3, 4, 5, 6, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 65};
  work_.decode = 1;
  Compare();
}

// ggml divides a few rows among its threads in another way than a whole weight, and kernels that take two rows and two
// columns at once (arm64 with i8mm) then round differently.
TEST_P(ExactnessOf, ThreadsThatDivideNoRowGroupEvenly) {
  work_.prompts = {2, 18, 34};
  work_.decode = 1;
  work_.threads = 5;
  Compare();
}

TEST_P(ExactnessOf, ExpertsInNarrowBatches) {
  work_.model = BundledModel("austen-moe-q4_0.gguf");
  work_.prompts = {1, 6, 18};
  work_.threads = 3;
  Compare();
}

TEST_P(ExactnessOf, SmallMicroBatches) {
  work_.prompts = {100};
  work_.ubatch = 24;
  Compare();
}

TEST_P(ExactnessOf, ParallelSequences) {
  work_.prompts = {1, 20};
  work_.decode = 4;
  work_.more = {"--sequences", "4"};
  Compare();
}

TEST_P(ExactnessOf, TokenEmbeddings) {
  work_.more = {"--embeddings", "tokens"};
  Compare();
}

TEST_P(ExactnessOf, MeanEmbeddings) {
  work_.prompts = {7, 64};
  work_.decode = 0;
  work_.more = {"--embeddings", "mean"};
  Compare();
}

}  // namespace
}  // namespace headrace::testing
