// The budget changes while models compute: the same bits, whatever is resident, and no more memory than it allows.
#include <gtest/gtest.h>

#include <cstdio>

#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

class Resizes : public ::testing::TestWithParam<bool> {
 protected:
  std::string Repack() const { return GetParam() ? "1" : "0"; }

  // Weights of some 11 MiB in budgets from `least` to `most` KiB, changed every 3 ms by a thread of the host.
  void Compare(const std::string& model, int least_kib, int most_kib, std::vector<std::string> more = {}) {
    std::vector<std::string> scenario = {HEADRACE_HOST_SCENARIOS,
                                         "resize",
                                         "--model",
                                         BundledModel(model),
                                         "--repack",
                                         Repack(),
                                         "--least",
                                         std::to_string(least_kib),
                                         "--most",
                                         std::to_string(most_kib)};
    scenario.insert(scenario.end(), more.begin(), more.end());
    const EngineRun stock = RunDumper(scenario, {});
    auto environment = StreamingEnvironment(uint64_t(most_kib) << 10, GetParam());
    environment["HEADRACE_DEBUG"] = "1";
    const EngineRun run = RunDumper(scenario, environment);
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_TRUE(ReallyStreamed(run, uint64_t(most_kib) << 10, 10));
    EXPECT_GT(Lines(run.child.err, "gives back").size(), 10u) << run.child.err;
  }
};

INSTANTIATE_TEST_SUITE_P(Kernels, Resizes, ::testing::Bool(),
                         [](const auto& kernels) { return kernels.param ? "repack" : "plain"; });

TEST_P(Resizes, Dense) { Compare("austen-dense-q4_0.gguf", 2048, 14 * 1024, {"--prompt", "60"}); }

TEST_P(Resizes, Experts) { Compare("austen-moe-q4_0.gguf", 3072, 14 * 1024, {"--prompt", "40"}); }

// Everything that a process has at once, and a limit on the whole of it. Each context takes some of it from the
// weights.
TEST_P(Resizes, ADraftTwoContextsAndEmbeddingsInOneBudget) {
  const std::vector<std::string> scenario = {HEADRACE_HOST_SCENARIOS,
                                             "together",
                                             "--model",
                                             BundledModel("austen-dense-q4_0.gguf"),
                                             "--second",
                                             BundledModel("austen-draft-f16.gguf"),
                                             "--repack",
                                             Repack()};
  const auto held = [](const EngineRun& run) {
    long kib = 0;
    EXPECT_EQ(std::sscanf(run.child.out.c_str(), "held %ld KiB", &kib), 1) << run.child.Describe();
    return kib;
  };
  const EngineRun stock = RunDumper(scenario, {});
  auto environment = StreamingEnvironment(1u << 30, GetParam());
  long most = 0;
  for (const long limit_mib : {70, 300}) {
    environment["HEADRACE_RAM"] = std::to_string(limit_mib) + "M";
    const EngineRun run = RunDumper(scenario, environment);
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_TRUE(ReallyManaged(run, uint64_t(limit_mib) << 20, 20));
    EXPECT_LE(held(run), limit_mib * 1024);
    EXPECT_GT(held(run), most) << "a larger budget is used";
    most = held(run);
  }
}

}  // namespace
}  // namespace headrace::testing
