#include "memory/available.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/size.h"
#include "memory/cgroup.h"

namespace headrace {
namespace {

std::optional<uint64_t> MeminfoBytes(std::string_view text, std::string_view key) {
  while (!text.empty() && !text.starts_with(key)) {
    const size_t end = text.find('\n');
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  if (text.empty()) return std::nullopt;
  text.remove_prefix(key.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  uint64_t kib = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), kib);
  return error == std::errc() ? std::optional<uint64_t>(kib * kKiB) : std::nullopt;
}

}  // namespace

std::optional<MemoryInfo> ParseMeminfo(std::string_view text) {
  const auto total = MeminfoBytes(text, "MemTotal:");
  const auto available = MeminfoBytes(text, "MemAvailable:");
  if (!total || !available) return std::nullopt;
  return MemoryInfo{*total, *available};
}

AvailableMemory FindAvailableMemory(const ReadText& read, const AddressLimits& limits) {
  AvailableMemory result;
  bool known = false;
  const auto take = [&](uint64_t bytes, std::string limited_by) {
    if (!known || bytes < result.bytes) result = {bytes, std::move(limited_by)};
    known = true;
  };
  if (const auto text = read("/proc/meminfo")) {
    if (const auto info = ParseMeminfo(*text)) take(info->available_bytes, "free memory");
  }
  if (const auto limit = FindCgroupLimit(read)) {
    take(limit->available_bytes(),
         fmt::format("cgroup v{} limit of {}", limit->version, FormatSize(limit->limit_bytes)));
  }
  const ProcessMemory own = ReadProcessMemory(read).value_or(ProcessMemory());
  const auto left = [](uint64_t limit, uint64_t used) { return limit - std::min(limit, used); };
  if (limits.private_bytes) {
    take(left(*limits.private_bytes, own.private_bytes),
         fmt::format("data size limit (ulimit -d) of {}", FormatSize(*limits.private_bytes)));
  }
  if (limits.address_bytes) {
    take(left(*limits.address_bytes, own.address_bytes),
         fmt::format("address space limit (ulimit -v) of {}", FormatSize(*limits.address_bytes)));
  }
  return result;
}

uint64_t MarginBytes(uint64_t bytes) { return std::min(bytes, std::max(bytes / 10, 64 * kMiB)); }

uint64_t LeastMarginBytes(uint64_t bytes) { return std::min(bytes, std::max(bytes / 32, 64 * kMiB)); }

uint64_t AutomaticLimit(const AvailableMemory& available, const std::optional<ProcessMemory>& own) {
  if (available.unknown()) return kUnknownMemoryLimit;
  const uint64_t whole = available.bytes + (own ? own->anonymous_bytes : 0);
  return whole - MarginBytes(whole);
}

uint64_t HardLimit(const AvailableMemory& available, const std::optional<ProcessMemory>& own) {
  if (available.unknown()) return UINT64_MAX;
  const uint64_t whole = available.bytes + (own ? own->anonymous_bytes : 0);
  return whole - LeastMarginBytes(whole);
}

}  // namespace headrace
