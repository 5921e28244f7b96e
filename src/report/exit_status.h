// What the headrace command's exit statuses mean, and the one way in which it says that something failed.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace headrace::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;          // it was tried and failed
inline constexpr int kExitUsage = 2;            // wrong options or input: nothing was started
inline constexpr int kExitNotExecutable = 126;  // the program exists but cannot be started
inline constexpr int kExitNotFound = 127;       // no such program, no engine
inline constexpr int kExitSignal = 128;         // plus the number of the signal that ended the program

// The help text that lists them.
inline constexpr const char* kExitStatusHelp =
    "Exit status: 0 success, 1 failure, 2 wrong options or input (nothing was started), 126 program cannot be\n"
    "started, 127 program or engine missing, 128+N ended by signal N; else the program's own.";

// kExitUsage for input that cannot work, kExitFailure for what failed while it was tried.
int ExitStatusOf(const Status& status);

// Writes "headrace: <message>\n" to standard error, always one line, and returns `exit_status`.
int Fail(std::string_view message, int exit_status);
int Fail(const Status& status);

// `text` with every run of control characters and spaces around line breaks as one space.
std::string OneLine(std::string_view text);

}  // namespace headrace::cli
