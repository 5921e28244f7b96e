#include "process/capture.h"

#include <csignal>
#include <vector>

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

TEST(Capture, ExitStatusAndSignal) {
  auto result = Capture("/bin/sh", {"-c", "exit 7"}, false);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->exit_status, 7);
  EXPECT_EQ(result->signal, 0);
  result = Capture("/bin/sh", {"-c", "kill -9 $$"}, false);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_status, 137);
  EXPECT_EQ(result->signal, SIGKILL);
}

TEST(Capture, CapturesAllOutputAndTheEnvironment) {
  auto result = Capture("/bin/sh", {"-c", "echo $HEADRACE_X; echo err >&2; seq 1 20000 | tail -n 1; seq 1 20000"}, true,
                        {{"HEADRACE_X", "value"}});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->output.substr(0, 16), "value\nerr\n20000\n");
  EXPECT_TRUE(result->output.ends_with("\n19999\n20000\n"));
  result = Capture("/bin/sh", {"-c", "echo err >&2"}, false);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->output, "");
}

TEST(Capture, AGrandchildThatKeepsThePipeIsNotWaitedFor) {
  const auto result = Capture("/bin/sh", {"-c", "sleep 20 & echo done"}, false);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->output, "done\n");
}

TEST(Capture, MissingAndNotExecutable) {
  auto result = Capture("/nonexistent/program", {}, false);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kNotFound);
  result = Capture("/etc/passwd", {}, false);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kPermission);
}

TEST(Capture, PeakMemoryIsTheProgramsOwn) {
  // A larger child that ended before counts for nothing, nor does this process, which may be larger than both.
  for (const size_t ballast_bytes : {0 * kMiB, 128 * kMiB}) {
    const std::vector<char> ballast(ballast_bytes, 'x');
    const auto large = Capture("/usr/bin/dd", {"if=/dev/zero", "of=/dev/null", "bs=64M", "count=20"}, false);
    const auto small = Capture("/bin/sleep", {"0.2"}, false);
    ASSERT_TRUE(large.ok() && small.ok());
    EXPECT_GE(large->peak_bytes, 64 * kMiB);
    EXPECT_LT(large->peak_bytes, 96 * kMiB);
    EXPECT_LT(small->peak_bytes, 48 * kMiB);
    EXPECT_GT(small->peak_bytes, 0u);
  }
}

}  // namespace
}  // namespace headrace::cli
