#include "process/start_signals.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include "base/text_file.h"
#include "process/launcher.h"

namespace headrace::cli {
namespace {

bool InAProcess(bool (*holds)()) {
  const pid_t child = fork();
  if (child == 0) _exit(holds() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// "SigBlk:..." and "SigIgn:..." of a process.
std::string SignalsOf(const std::string& status) {
  std::string lines;
  for (const char* name : {"SigBlk:", "SigIgn:"}) {
    const size_t at = status.find(name);
    if (at != std::string::npos) lines += status.substr(at, status.find('\n', at) - at + 1);
  }
  return lines;
}

TEST(StartSignals, WhatWasIgnoredDoesNotEndUs) {
  EXPECT_TRUE(InAProcess([] {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) std::signal(signal, SIG_DFL);
    std::signal(SIGHUP, SIG_IGN);
    std::signal(SIGQUIT, SIG_IGN);
    return EndingSignals() == std::vector<int>{SIGINT, SIGTERM};
  }));
}

// Also where signals are set as some programs leave them to those whom they start: then the end of a child would never
// be seen.
TEST(StartSignals, AChildGetsThemAsTheyWereAtOurStart) {
  EXPECT_TRUE(InAProcess([] {
    std::signal(SIGCHLD, SIG_IGN);
    std::signal(SIGPIPE, SIG_DFL);
    std::signal(SIGHUP, SIG_IGN);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_SETMASK, &blocked, nullptr);
    const std::string before = SignalsOf(ReadTextFile("/proc/self/status").value_or(""));
    TakeSignals();
    LaunchSpec spec;
    spec.program = "/bin/cat";  // a shell has its own mind about SIGCHLD
    spec.arguments = {"/proc/self/status"};
    std::string output;
    spec.on_stdout = [&](std::string_view text) {
      output += text;
      return true;
    };
    const auto outcome = Launch(spec);
    return outcome.ok() && outcome->exit_status == 0 && !before.empty() && SignalsOf(output) == before;
  }));
}

}  // namespace
}  // namespace headrace::cli
