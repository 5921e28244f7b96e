// Starts a program in the foreground, hands it the terminal and its signals, and waits for it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace headrace::cli {

using Environment = std::vector<std::pair<std::string, std::string>>;

struct LaunchSpec {
  std::string program;                  // a path: no search is made
  std::vector<std::string> arguments;   // without argv[0]
  Environment environment;              // added to, or replacing, this process's
  bool stdin_null = false;
  bool stderr_null = false;
  bool stderr_to_stdout = false;
  // Set: the program's standard output comes here in pieces instead of going where ours goes. False
  // returned: no more is wanted, the program's next write fails.
  std::function<bool(std::string_view)> on_stdout;
  // Called about ten times a second while the program runs.
  std::function<void()> on_tick;
  int time_limit_ms = 0;                // 0: none; then the program is killed
};

struct LaunchOutcome {
  int exit_status = 0;                  // the program's, or 128 + signal
  int signal = 0;                       // that ended the program, 0 when it exited
  bool timed_out = false;
};

// The program runs in our process group, so Ctrl-C and Ctrl-Z of the terminal reach it directly; we only
// wait. SIGTERM, SIGHUP and signals that were sent to us alone are passed on; SIGINT, SIGTERM, SIGHUP,
// SIGQUIT do not end us while it runs. It gets the signal mask and dispositions that we were started with. It is
// sent SIGTERM when we are killed.
// Errors: kNotFound (no such file, or its interpreter), kPermission (cannot be executed), kIo.
// Not thread-safe: no other thread may run, one launch at a time.
Result<LaunchOutcome> Launch(const LaunchSpec& spec);

struct CaptureResult {
  LaunchOutcome outcome;
  std::string output;                   // at most 4 MiB
};
// Runs `program arguments` without input, with standard error merged into its output or dropped.
Result<CaptureResult> Capture(const std::string& program, const std::vector<std::string>& arguments,
                              bool merge_stderr, const Environment& environment = {});

// `current` ("NAME=value" strings) with `changes` added or replaced.
std::vector<std::string> MergeEnvironment(const char* const* current, const Environment& changes);

// The value of LD_PRELOAD that loads `library` first and keeps what was there.
std::string PreloadValue(const char* existing, const std::string& library);

// "was killed (SIGKILL): ...", for people, with what to do about it.
std::string DescribeSignal(int signal);

}  // namespace headrace::cli
