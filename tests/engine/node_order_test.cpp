// A graph whose nodes are computed in another order than it said before: nothing can be streamed by a schedule that is
// not kept. The pass fails with a line, and computes nothing from what is not there yet.
#include <gtest/gtest.h>

#include "base/size.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

constexpr uint64_t kBudget = 4 * kMiB;

EngineRun RunSwapped(const std::string& swap, int columns, const std::map<std::string, std::string>& environment) {
  return RunDumper({HEADRACE_GRAPH_SCENARIOS, "order", "--model", BundledModel("austen-dense-q4_0.gguf"), "--swap",
                    swap, "--columns", std::to_string(columns)},
                   environment, std::chrono::seconds(30));
}

// Through the scheduler's synchronous function, which calls the other one: between the pieces of the graph and within
// it.
TEST(NodeOrder, OfTheGraph) {
  for (const int columns : {4, 40}) {
    const EngineRun stock = RunSwapped("none", columns, {}),
                    run = RunSwapped("none", columns, StreamingEnvironment(kBudget, false));
    EXPECT_EQ(stock.child.out, "status 0\n") << stock.child.Describe();
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_TRUE(ReallyManaged(run, kBudget, 2));
    ASSERT_TRUE(run.snapshot);
    EXPECT_GT((*run.snapshot)->streamed_bytes_per_pass.load(), 0u);
  }
}

class OtherNodeOrder : public ::testing::TestWithParam<std::tuple<const char*, int>> {};
INSTANTIATE_TEST_SUITE_P(Of, OtherNodeOrder,
                         ::testing::Values(std::tuple{"inputs", 4}, std::tuple{"inputs", 40}, std::tuple{"products", 4},
                                           std::tuple{"products", 40}),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)) + std::to_string(std::get<1>(test.param));
                         });

TEST_P(OtherNodeOrder, FailsThePass) {
  const auto& [swap, columns] = GetParam();
  const EngineRun stock = RunSwapped(swap, columns, {});
  EXPECT_EQ(stock.child.out, "status 0\n") << "it is as valid: " << stock.child.Describe();
  EXPECT_TRUE(SameBytes(RunSwapped("none", columns, {}), stock));
  const EngineRun run = RunSwapped(swap, columns, StreamingEnvironment(kBudget, false));
  EXPECT_EQ(run.child.out, "status -1\n") << run.child.Describe();
  EXPECT_EQ(Lines(run.child.err, "headrace: ").size(), 1u) << run.child.Describe();
  EXPECT_EQ(Lines(run.child.err, "computes a graph in another order than the graph says").size(), 1u)
      << run.child.Describe();
}

}  // namespace
}  // namespace headrace::testing
