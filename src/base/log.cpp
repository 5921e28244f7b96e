#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>

namespace headrace {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kWarning};

void Write(std::string_view line) {
  const int saved_errno = errno;
  std::string text = "headrace: ";
  text += line;
  text += '\n';
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  errno = saved_errno;
}

}  // namespace

void SetLogLevel(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }
LogLevel GetLogLevel() { return g_level.load(std::memory_order_relaxed); }

void LogWarning(std::string_view line) {
  if (GetLogLevel() >= LogLevel::kWarning) Write(line);
}

void LogDebug(std::string_view line) {
  if (GetLogLevel() >= LogLevel::kDebug) Write(line);
}

}  // namespace headrace
