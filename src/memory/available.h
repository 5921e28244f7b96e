// How much memory a process may still take without swapping or being killed: the tightest of what is free, of the
// control groups' limits and of the process's own (`ulimit`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/text_file.h"
#include "memory/process_memory.h"

namespace headrace {

struct MemoryInfo {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;  // MemAvailable
};
std::optional<MemoryInfo> ParseMeminfo(std::string_view text);

struct AvailableMemory {
  uint64_t bytes = 0;  // beyond what this process holds already; 0: unknown or nothing
  std::string
      limited_by;  // "free memory", "cgroup v2 limit of 2.00 GiB", "address space limit (ulimit -v) of 4.00 GiB"
  bool unknown() const { return limited_by.empty() && bytes == 0; }
};
// Reads small files of /proc and /sys. Thread-safe.
AvailableMemory FindAvailableMemory(const ReadText& read, const AddressLimits& limits);

// What `--ram auto` leaves free of it: a tenth, at least 64 MiB. Page tables and the page cache of what is read
// through mappings (code, embeddings) are charged to the same limits, and other programs want to live too.
uint64_t MarginBytes(uint64_t bytes);
// The same for a process whose user named a number: what keeps it from being killed, a thirty-second, at least 64 MiB.
uint64_t LeastMarginBytes(uint64_t bytes);

// The memory that `--ram auto` gives to this process as a whole: what it holds and what is available, without the
// margin. kUnknownMemoryLimit when the system does not tell.
inline constexpr uint64_t kUnknownMemoryLimit = uint64_t{2} << 30;
uint64_t AutomaticLimit(const AvailableMemory& available, const std::optional<ProcessMemory>& own);
// The most that a process should hold whatever its user said; UINT64_MAX when the system does not tell.
uint64_t HardLimit(const AvailableMemory& available, const std::optional<ProcessMemory>& own);

}  // namespace headrace
