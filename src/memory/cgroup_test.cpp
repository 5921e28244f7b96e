#include "memory/cgroup.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/descriptor.h"
#include "base/size.h"
#include "base/text_file_test.h"
#include "memory/memory_group_test.h"

namespace headrace {
namespace {

TEST(Cgroup, VersionTwoTakesTheTightestGroupUpToTheRoot) {
  const auto read = TextFiles({
      {"/proc/self/cgroup", "0::/user.slice/app.scope\n"},
      {"/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"},
      {"/sys/fs/cgroup/user.slice/app.scope/memory.max", "max\n"},
      {"/sys/fs/cgroup/user.slice/memory.max", "2147483648\n"},
      {"/sys/fs/cgroup/user.slice/memory.current", "1073741824\n"},
      {"/sys/fs/cgroup/user.slice/memory.stat", "anon 5\nactive_file 268435456\ninactive_file 268435456\n"},
  });
  const auto limit = FindCgroupLimit(read);
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->version, 2);
  EXPECT_EQ(limit->directory, "/sys/fs/cgroup/user.slice");
  EXPECT_EQ(limit->limit_bytes, 2 * kGiB);
  EXPECT_EQ(limit->available_bytes(), kGiB + kGiB / 2);
}

TEST(Cgroup, VersionOneInAHybridMount) {
  const auto read = TextFiles({
      {"/proc/self/cgroup", "4:cpu,memory:/jobs/one\n0::/\n"},
      {"/proc/self/mountinfo",
       "35 31 0:32 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,cpu,memory\n"
       "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"},
      {"/sys/fs/cgroup/my memory/jobs/one/memory.limit_in_bytes", "734003200\n"},
      {"/sys/fs/cgroup/my memory/jobs/one/memory.usage_in_bytes", "104857600\n"},
      {"/sys/fs/cgroup/my memory/jobs/one/memory.stat", "inactive_file 1\ntotal_inactive_file 52428800\n"},
      {"/sys/fs/cgroup/my memory/memory.limit_in_bytes", "9223372036854771712\n"},
  });
  const auto limit = FindCgroupLimit(read);
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->version, 1);
  EXPECT_EQ(limit->limit_bytes, 700 * kMiB);
  EXPECT_EQ(limit->available_bytes(), 650 * kMiB);
}

TEST(Cgroup, ContainerWhoseMountShowsItsOwnGroup) {
  const auto read = TextFiles({
      {"/proc/self/cgroup", "4:memory:/docker/abc\n"},
      {"/proc/self/mountinfo", "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"},
  });
  const auto limit = FindCgroupLimit(read);
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->available_bytes(), kGiB);
}

TEST(Cgroup, NoneAndNonsense) {
  EXPECT_FALSE(FindCgroupLimit(TextFiles({})));
  EXPECT_FALSE(
      FindCgroupLimit(TextFiles({{"/proc/self/cgroup", "::::\n\nx"}, {"/proc/self/mountinfo", "- - -\n a b - c\n"}})));
}

TEST(Cgroup, UsedAboveTheLimitLeavesNothing) {
  CgroupLimit limit;
  limit.limit_bytes = 10;
  limit.used_bytes = 20;
  limit.page_cache_bytes = 5;
  EXPECT_EQ(limit.available_bytes(), 0u);
}

TEST(Cgroup, VersionTwoHighSlowsDownBelowMax) {
  const auto limit = FindCgroupLimit(TextFiles({
      {"/proc/self/cgroup", "0::/one\n"},
      {"/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
      {"/sys/fs/cgroup/one/memory.max", "2147483648\n"},
      {"/sys/fs/cgroup/one/memory.high", "1073741824\n"},
  }));
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->limit_bytes, kGiB);
}

// The child's group has no limit, the one above it has.
TEST(Cgroup, RealGroupInsideOfALimitedOne) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to make a memory cgroup";
  constexpr uint64_t kLimit = 512 * kMiB;
  const MemoryGroup outer(kLimit);
  const MemoryGroup inner(0, &outer);
  if (!outer.usable() || !inner.usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
  const pid_t child = fork();
  if (child == 0) {
    const Descriptor procs(open(inner.procs().c_str(), O_WRONLY | O_CLOEXEC));
    if (write(procs.get(), "0", 1) != 1) _exit(2);
    std::string held(32 * kMiB, 'x');
    const auto limit = FindCgroupLimit(ReadTextFile);
    if (!limit || limit->limit_bytes != kLimit || limit->directory != outer.path()) _exit(3);
    _exit(limit->available_bytes() < kLimit - held.size() && limit->available_bytes() > kLimit / 2 ? 0 : 4);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "2: cannot enter the group, 3: limit not found, 4: its use is wrong";
}

}  // namespace
}  // namespace headrace
