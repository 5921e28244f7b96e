#include "base/log.h"

#include <atomic>

#include "base/say.h"

namespace headrace {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kWarning};

}  // namespace

void SetLogLevel(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }
LogLevel GetLogLevel() { return g_level.load(std::memory_order_relaxed); }

void LogWarning(std::string_view line) {
  if (GetLogLevel() >= LogLevel::kWarning) Say(line);
}

void LogDebug(std::string_view line) {
  if (GetLogLevel() >= LogLevel::kDebug) Say(line);
}

}  // namespace headrace
