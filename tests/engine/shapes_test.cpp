// Models of unusual form: split over several files, and with an output matrix larger than the budget.
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/size.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

TEST(SplitModel, StreamsFromAllItsFiles) {
  const std::string prefix = WorkDirectory() + "/split";
  const ChildResult split = RunChild({EngineProgram("llama-gguf-split"), "--split", "--split-max-size", "3M",
                                      BundledModel("austen-dense-q4_0.gguf"), prefix});
  ASSERT_TRUE(split.Ok()) << split.Describe();
  Work work;
  work.model = prefix + "-00001-of-00005.gguf";
  ASSERT_GT(FileBytes(work.model), 0u) << split.Describe();
  for (const bool repack : {false, true}) {
    work.repack = repack;
    const uint64_t budget = 4 * kMiB;
    const EngineRun run = RunStreamed(work, budget);
    EXPECT_TRUE(SameBytes(RunStock(work), run));
    EXPECT_TRUE(ReallyStreamed(run, budget, work.Passes()));
  }
}

// 128256 x 8192: 563 MiB of output.weight, within 32 MiB.
TEST(SlowHugeOutput, StreamsWithinABudgetSmallerThanItself) {
  ASSERT_EQ(access(HEADRACE_MAKE_MODEL, X_OK), 0) << "headrace-make-model is not built (HEADRACE_BENCH)";
  Work work;
  work.model = WorkDirectory() + "/huge-output.gguf";
  const ChildResult made = RunChild({HEADRACE_MAKE_MODEL, "--preset", "huge-output", "--quiet", work.model});
  ASSERT_TRUE(made.Ok()) << made.Describe();
  work.prompts = {1, 7};
  work.decode = 1;
  for (const bool repack : {false, true}) {
    work.repack = repack;
    const uint64_t budget = 32 * kMiB;
    const EngineRun run = RunStreamed(work, budget);
    EXPECT_TRUE(SameBytes(RunStock(work), run));
    EXPECT_TRUE(ReallyStreamed(run, budget, work.Passes()));
  }
}

}  // namespace
}  // namespace headrace::testing
