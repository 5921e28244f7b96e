// The few lines that the library says in somebody else's process: to standard error, each with the
// prefix "headrace: ", written in one write(2) so that lines of several threads do not mix.
#pragma once

#include <string_view>

namespace headrace {

enum class LogLevel { kQuiet = 0, kWarning = 1, kDebug = 2 };

// The level below which lines are written; kWarning until set. Thread-safe.
void SetLogLevel(LogLevel level);
LogLevel GetLogLevel();

// Writes "headrace: <line>\n" when the level allows it. Thread-safe, never fails, keeps errno.
void LogWarning(std::string_view line);
void LogDebug(std::string_view line);

}  // namespace headrace
