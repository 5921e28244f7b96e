#include "telemetry/disturbance.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

namespace headrace {
namespace {

// Asks until `holds`, at most a minute.
template <typename Condition>
bool Eventually(Condition holds) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > limit) return false;
  }
  return true;
}

TEST(Disturbance, AThreadThatSharesItsProcessorWithAnotherProgramWaits) {
  if (!std::ifstream("/proc/self/schedstat")) GTEST_SKIP() << "this kernel does not count how long threads wait";
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  }
  Disturbance disturbance;
  EXPECT_EQ(disturbance.Take({}), 0u) << "the first look is the beginning";
  // Both on one processor.
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  const pid_t other = fork();
  if (other == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (volatile bool busy = true; busy;) {
    }
  }
  ASSERT_GT(other, 0);
  uint64_t waited_ns = 0;
  EXPECT_TRUE(Eventually([&] { return (waited_ns += disturbance.Take({})) > 20'000'000; })) << waited_ns;
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  sched_setaffinity(0, sizeof all, &all);
}

TEST(Disturbance, TheDisksBytesOfOthersCountAndOwnOnesDoNot) {
  char path[] = "disturbance-test-XXXXXX";
  const int file = mkstemp(path);
  ASSERT_GE(file, 0);
  struct stat info {};
  ASSERT_EQ(fstat(file, &info), 0);
  std::error_code error;
  const std::string counters =
      "/sys/dev/block/" + std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev)) + "/stat";
  const bool told = std::filesystem::exists(counters, error);
  // A byte takes a second: no thread waits as long.
  const auto taken = [&](Disturbance& disturbance, uint64_t own) {
    return disturbance.Take({info.st_dev, 1, own}) / 1'000'000'000;
  };
  constexpr uint64_t kBytes = 1 << 20;
  Disturbance others, own;
  EXPECT_EQ(taken(others, 0) + taken(own, 0), 0u);
  const std::string text(kBytes, 'x');
  const bool written =
      ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file) == 0;
  ::close(file);
  ::unlink(path);
  ASSERT_TRUE(written);
  if (!told) GTEST_SKIP() << "no counters of this folder's disk";
  EXPECT_GE(taken(others, 0), kBytes);
  EXPECT_EQ(taken(own, uint64_t{1} << 40), 0u);
}

}  // namespace
}  // namespace headrace
