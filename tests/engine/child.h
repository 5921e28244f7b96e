// Child processes of the engine tests: every one has a time limit, a known environment and its output kept.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace headrace::testing {

struct ChildOptions {
  // Added to an environment that holds PATH, HOME, TMPDIR, LANG, OMP_WAIT_POLICY, GGML_NO_BACKTRACE and, of this test
  // alone, XDG_CACHE_HOME and XDG_CONFIG_HOME: nothing of the caller's LD_*, LLAMA_* or HEADRACE_* variables reaches
  // the child.
  std::map<std::string, std::string> environment;
  std::string directory;              // working directory, "" for the caller's
  std::chrono::seconds timeout{120};  // then the child's process group is killed
  std::string cgroup_procs;           // a cgroup.procs file that the child enters before it starts, or ""
};

struct ChildResult {
  int exit_code = -1;  // valid when signal is 0 and it did not time out
  int signal = 0;      // that ended it
  bool timed_out = false;
  std::string out;  // standard output
  std::string err;  // standard error, or why the child could not be started
  double seconds = 0;
  uint64_t max_rss_bytes = 0;

  bool Ok() const { return !timed_out && signal == 0 && exit_code == 0; }
  // For failure messages: the command, how it ended and the ends of both outputs.
  std::string Describe() const;
  std::vector<std::string> arguments;
};

// Runs arguments[0] (searched in PATH) and waits. Never throws; a child that cannot be started has exit
// code 127 and the reason in err.
ChildResult RunChild(const std::vector<std::string>& arguments, const ChildOptions& options = {});

// The lines of text that hold part; all lines for "".
std::vector<std::string> Lines(const std::string& text, const std::string& part = "");

}  // namespace headrace::testing
