// Starts a program in the foreground, hands it the terminal and its signals, and waits for it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "process/process_start.h"

namespace headrace::cli {

struct LaunchSpec : StartSpec {  // stdout_fd is the launcher's
  // Set: the program's standard output comes here in pieces instead of going where ours goes. False
  // returned: no more is wanted, the program's next write fails.
  std::function<bool(std::string_view)> on_stdout;
  // Called about ten times a second while the program runs.
  std::function<void()> on_tick;
  int time_limit_ms = 0;  // 0: none; then the program is killed
};

struct LaunchOutcome {
  int exit_status = 0;  // the program's, or 128 + signal
  int signal = 0;       // that ended the program, 0 when it exited
  bool timed_out = false;
};

// Of a status of waitpid(2).
LaunchOutcome OutcomeOf(int wait_status);

// The program runs in our process group, so Ctrl-C and Ctrl-Z of the terminal reach it directly; we only
// wait. SIGTERM, SIGHUP and signals that were sent to us alone are passed on; SIGINT, SIGTERM, SIGHUP,
// SIGQUIT do not end us while it runs, and those that were ignored when we were started reach nobody. It gets the
// signal mask and dispositions that we were started with. It gets its death_signal when we are killed. Errors:
// kNotFound (no such file, or its interpreter), kPermission (cannot be executed), kIo. Not thread-safe: no other thread
// may run, one launch at a time.
Result<LaunchOutcome> Launch(const LaunchSpec& spec);

// "was killed (SIGKILL): ...", for people, with what to do about it. `streams`: the library is in the program, and may
// have to do with it.
std::string DescribeSignal(int signal, bool streams);

}  // namespace headrace::cli
