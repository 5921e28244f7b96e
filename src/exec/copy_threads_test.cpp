#include "exec/copy_threads.h"

#include <atomic>
#include <memory>

#include <gtest/gtest.h>

namespace headrace {
namespace {

class CopyThreadsTest : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Threads, CopyThreadsTest, ::testing::Values(0, 1, 4));

TEST_P(CopyThreadsTest, DoAllBeforeFinishReturnsAndAgainAfterwards) {
  CopyThreads threads(GetParam());
  threads.Finish();
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> sum{0};
    const auto held = std::make_shared<int>(0);
    for (int i = 0; i < 40; ++i) threads.Give([&sum, held, i] { sum += i; });
    threads.Finish();
    EXPECT_EQ(sum, 780);
    EXPECT_EQ(held.use_count(), 1) << "work that is done holds something";
  }
}

TEST(CopyThreads, AreFewOnSmallMachines) {
  EXPECT_GE(CopyThreads::Sensible(), 1u);
  EXPECT_LE(CopyThreads::Sensible(), 4u);
}

}  // namespace
}  // namespace headrace
