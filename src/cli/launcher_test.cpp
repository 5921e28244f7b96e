#include "cli/launcher.h"

#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

TEST(Environment, ReplacesAndAdds) {
  const char* current[] = {"A=1", "B=2", "BB=3", "ODD", nullptr};
  EXPECT_EQ(MergeEnvironment(current, {{"B", "x=y"}, {"C", ""}}),
            (std::vector<std::string>{"A=1", "BB=3", "ODD", "B=x=y", "C="}));
  EXPECT_EQ(MergeEnvironment(nullptr, {}), std::vector<std::string>{});
}

TEST(Preload, KeepsWhatWasThereOnce) {
  EXPECT_EQ(PreloadValue(nullptr, "/l/h.so"), "/l/h.so");
  EXPECT_EQ(PreloadValue("", "/l/h.so"), "/l/h.so");
  EXPECT_EQ(PreloadValue("/a.so:/b.so /c.so", "/l/h.so"), "/l/h.so:/a.so:/b.so:/c.so");
  EXPECT_EQ(PreloadValue("/a.so:/l/h.so", "/l/h.so"), "/l/h.so:/a.so");
}

TEST(DescribeSignal, SigkillNamesMemoryAndCgroup) {
  EXPECT_NE(DescribeSignal(SIGKILL).find("memory"), std::string::npos);
  EXPECT_NE(DescribeSignal(SIGKILL).find("cgroup"), std::string::npos);
  EXPECT_NE(DescribeSignal(SIGSEGV).find("crashed"), std::string::npos);
}

TEST(Launch, ExitStatusAndSignal) {
  auto result = Capture("/bin/sh", {"-c", "exit 7"}, false);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->outcome.exit_status, 7);
  EXPECT_EQ(result->outcome.signal, 0);
  result = Capture("/bin/sh", {"-c", "kill -9 $$"}, false);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->outcome.exit_status, 137);
  EXPECT_EQ(result->outcome.signal, SIGKILL);
}

TEST(Launch, CapturesAllOutputAndTheEnvironment) {
  auto result = Capture("/bin/sh", {"-c", "echo $HEADRACE_X; echo err >&2; seq 1 20000 | tail -n 1; seq 1 20000"}, true,
                        {{"HEADRACE_X", "value"}});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->output.substr(0, 16), "value\nerr\n20000\n");
  EXPECT_TRUE(result->output.ends_with("\n19999\n20000\n"));
  result = Capture("/bin/sh", {"-c", "echo err >&2"}, false);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->output, "");
}

TEST(Launch, AGrandchildThatKeepsThePipeIsNotWaitedFor) {
  const auto result = Capture("/bin/sh", {"-c", "sleep 20 & echo done"}, false);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->output, "done\n");
}

TEST(Launch, MissingAndNotExecutable) {
  auto result = Capture("/nonexistent/program", {}, false);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kNotFound);
  result = Capture("/etc/passwd", {}, false);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kPermission);
}

TEST(Launch, TimeLimitKills) {
  LaunchSpec spec;
  spec.program = "/bin/sleep";
  spec.arguments = {"60"};
  spec.time_limit_ms = 200;
  const auto outcome = Launch(spec);
  ASSERT_TRUE(outcome.ok());
  EXPECT_TRUE(outcome->timed_out);
  EXPECT_EQ(outcome->signal, SIGKILL);
}

TEST(Launch, ASignalToUsAloneIsPassedOnAndDoesNotEndUs) {
  LaunchSpec spec;
  spec.program = "/bin/sh";
  spec.arguments = {"-c", "trap 'exit 42' TERM; while :; do sleep 0.05; done"};
  int ticks = 0;
  spec.on_tick = [&] {
    if (++ticks == 5) kill(getpid(), SIGTERM);
  };
  const auto outcome = Launch(spec);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->exit_status, 42);
}

TEST(Launch, TheChildGetsOurSignalMask) {
  // What this process was started with, whatever that is: some hosts ignore signals for all they start.
  std::string ours;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigBlk:") || line.starts_with("SigIgn:")) ours += line + "\n";
  }
  ASSERT_NE(ours, "");
  const auto result = Capture("/bin/sh", {"-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status"}, false);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->output, ours);
}

TEST(Launch, AReaderThatWantsNoMoreEndsTheProgramByItsPipe) {
  LaunchSpec spec;
  spec.program = "/usr/bin/yes";
  spec.time_limit_ms = 20000;
  spec.on_stdout = [](std::string_view) { return false; };
  const auto outcome = Launch(spec);
  ASSERT_TRUE(outcome.ok());
  EXPECT_FALSE(outcome->timed_out);
  EXPECT_EQ(outcome->signal, SIGPIPE);
}

}  // namespace
}  // namespace headrace::cli
