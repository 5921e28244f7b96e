#include "process/launcher.h"

#include <sys/stat.h>
#include <unistd.h>
#include <fstream>

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
  const char* const keys[] = {"HEADRACE_API_KEY=secret", "HEADRACE_API_KEYS=x", "A=HEADRACE_API_KEY=", nullptr};
  EXPECT_EQ(MergeEnvironment(keys, {}), (std::vector<std::string>{"HEADRACE_API_KEYS=x", "A=HEADRACE_API_KEY="}))
      << "the server's key is nobody else's";
}

TEST(Preload, KeepsWhatWasThereOnce) {
  EXPECT_EQ(PreloadValue(nullptr, "/l/h.so"), "/l/h.so");
  EXPECT_EQ(PreloadValue("", "/l/h.so"), "/l/h.so");
  EXPECT_EQ(PreloadValue("/a.so:/b.so /c.so", "/l/h.so"), "/l/h.so:/a.so:/b.so:/c.so");
  EXPECT_EQ(PreloadValue("/a.so:/l/h.so", "/l/h.so"), "/l/h.so:/a.so");
}

TEST(DescribeSignal, SigkillNamesMemoryAndCgroup) {
  EXPECT_NE(DescribeSignal(SIGKILL, false).find("memory"), std::string::npos);
  EXPECT_NE(DescribeSignal(SIGKILL, false).find("cgroup"), std::string::npos);
  EXPECT_NE(DescribeSignal(SIGSEGV, false).find("crashed"), std::string::npos);
  EXPECT_EQ(DescribeSignal(SIGSEGV, false).find("--flash-mode"), std::string::npos) << "nothing streamed";
  EXPECT_NE(DescribeSignal(SIGSEGV, true).find("--flash-mode off"), std::string::npos);
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
  std::string theirs;
  LaunchSpec spec;
  spec.program = "/bin/sh";
  spec.arguments = {"-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status"};
  spec.on_stdout = [&](std::string_view text) {
    theirs += text;
    return true;
  };
  ASSERT_TRUE(Launch(spec).ok());
  EXPECT_EQ(theirs, ours);
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
