#include "memory/process_memory.h"

#include <pthread.h>
#include <sys/resource.h>

#include <charconv>
#include <string>

#include "base/size.h"

namespace headrace {
namespace {

// What a thread that computes or waits has touched of its stack.
constexpr uint64_t kUsedStackBytes = 128 * kKiB;

std::optional<uint64_t> Limit(int resource) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return std::nullopt;
  return limit.rlim_cur;
}

}  // namespace

std::optional<ProcessMemory> ParseStatm(std::string_view text) {
  // size resident shared text lib data dirty
  uint64_t pages[6];
  for (uint64_t& value : pages) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
  }
  const uint64_t resident = pages[1], shared = pages[2];
  ProcessMemory memory;
  memory.anonymous_bytes = (resident > shared ? resident - shared : 0) * PageBytes();
  memory.file_bytes = shared * PageBytes();
  memory.private_bytes = pages[5] * PageBytes();
  memory.address_bytes = pages[0] * PageBytes();
  return memory;
}

std::optional<ProcessMemory> ReadProcessMemory(const ReadText& read) {
  const auto text = read("/proc/self/statm");
  return text ? ParseStatm(*text) : std::nullopt;
}

uint64_t UnusedStackBytes(const ReadText& read) {
  const auto status = read("/proc/self/status");
  if (!status) return 0;
  constexpr std::string_view kKey = "\nThreads:\t";
  const size_t at = status->find(kKey);
  uint64_t threads = 0;
  if (at == std::string::npos) return 0;
  std::from_chars(status->data() + at + kKey.size(), status->data() + status->size(), threads);
  pthread_attr_t attributes;
  size_t stack = 0;
  if (::pthread_getattr_default_np(&attributes) != 0) return 0;
  ::pthread_attr_getstacksize(&attributes, &stack);
  ::pthread_attr_destroy(&attributes);
  // The first thread's stack is counted as far as it grew.
  return stack <= kUsedStackBytes || threads <= 1 ? 0 : (threads - 1) * (stack - kUsedStackBytes);
}

AddressLimits ReadAddressLimits() { return {Limit(RLIMIT_AS), Limit(RLIMIT_DATA)}; }

}  // namespace headrace
