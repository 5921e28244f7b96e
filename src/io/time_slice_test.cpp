#include "io/time_slice.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>

namespace headrace {
namespace {

// The kernel's struct sched_attr: its header and the C library's cannot be included together.
struct Attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

Attributes Get() {
  Attributes attributes{};
  EXPECT_EQ(::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0u), 0);
  return attributes;
}

// The slice is a thread's own, and gtest runs each test on the main one: a child keeps the others as they are.
template <typename Check>
void InChild(Check check) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    check();
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(TimeSlice, IsShortWhereTheKernelKnowsIt) {
  if (Get().runtime == 0) GTEST_SKIP() << "this kernel (before Linux 6.12) has no time slice per thread";
  InChild([] {
    ShortenTimeSlice();
    EXPECT_EQ(Get().runtime, 100'000u);
  });
}

TEST(TimeSlice, NicenessStays) {
  InChild([] {
    ASSERT_EQ(::setpriority(PRIO_PROCESS, 0, 7), 0);
    ShortenTimeSlice();
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), 7);
    EXPECT_EQ(Get().policy, 0u);
  });
}

}  // namespace
}  // namespace headrace
