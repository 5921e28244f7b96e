// Starts a program and does not wait for it.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace headrace::cli {

using Environment = std::vector<std::pair<std::string, std::string>>;

struct StartSpec {
  std::string program;                 // a path: no search is made
  std::vector<std::string> arguments;  // without argv[0]
  Environment environment;             // added to, or replacing, this process's
  bool stdin_null = false;
  bool stderr_null = false;
  bool stderr_to_stdout = false;
  int stdout_fd = -1;      // where its standard output goes instead of where ours goes
  bool own_group = false;  // a process group of its own: no signals of our terminal
  // What it gets when this process is killed. Only SIGKILL surely ends it: it may have been started with SIGTERM
  // blocked or ignored, or hang while it ends.
  int death_signal = SIGTERM;
};

// The program gets `death_signal` when the thread that started it ends, as it does when this process is killed.
// Its signals are as ours were at our start (process/start_signals.h). `in_child` runs in it before the program does;
// only async-signal-safe calls. Returns its id; the caller waits for it. Thread-safe. Errors: kNotFound (no such file,
// or its interpreter), kPermission (cannot be executed), kIo.
Result<pid_t> StartProcess(const StartSpec& spec, const std::function<void()>& in_child);

// For `in_child`: the program inherits no other descriptor, however carelessly a library of ours opened it.
void KeepOnlyStandardStreams();

// `current` ("NAME=value" strings) with `changes` added or replaced, and without the API key of headrace serve.
std::vector<std::string> MergeEnvironment(const char* const* current, const Environment& changes);

// The value of LD_PRELOAD that loads `library` first and keeps what was there.
std::string PreloadValue(const char* existing, const std::string& library);

}  // namespace headrace::cli
