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
    std::vector<std::string> scenario = {HEADRACE_HOST_SCENARIOS, "resize", "--model", BundledModel(model), "--repack", Repack(),
                                         "--least", std::to_string(least_kib), "--most", std::to_string(most_kib)};
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

}  // namespace
}  // namespace headrace::testing
