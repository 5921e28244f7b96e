// What the system says about memory, limits, disks and processor. The parsers take text, so that tests can
// feed them the files of other machines; ReadText is how they get it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace headrace::cli {

// The content of a small text file (at most 1 MiB of it), nullopt when it cannot be read.
using ReadText = std::function<std::optional<std::string>(const std::string& path)>;
std::optional<std::string> ReadTextFile(const std::string& path);

struct MemoryInfo {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;  // MemAvailable
};
std::optional<MemoryInfo> ParseMeminfo(std::string_view text);

// A memory limit of a control group that this process is in, or of one above it.
struct CgroupLimit {
  int version = 0;               // 1 or 2
  std::string directory;
  uint64_t limit_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t page_cache_bytes = 0; // of that: file pages, which the kernel takes back when it needs them

  uint64_t available_bytes() const {
    const uint64_t held = used_bytes > page_cache_bytes ? used_bytes - page_cache_bytes : 0;
    return limit_bytes > held ? limit_bytes - held : 0;
  }
};
// The limit that leaves least, over versions 1 and 2 and all groups up to the root; nullopt without any.
// Reads /proc/self/cgroup, /proc/self/mountinfo and the groups' files.
std::optional<CgroupLimit> FindCgroupLimit(const ReadText& read);

struct AvailableMemory {
  uint64_t bytes = 0;            // 0: unknown
  std::string limited_by;        // "free memory", "cgroup v2 limit of 2.00 GiB"
};
AvailableMemory FindAvailableMemory(const ReadText& read);

// The first processor's flags in /proc/cpuinfo.
std::set<std::string> ParseCpuFlags(std::string_view cpuinfo);
// Of those, what ggml's kernels use, in rising order of merit: "AVX2 FMA F16C AVX512 ...".
std::string DescribeCpu(const std::set<std::string>& flags);
std::string ParseCpuModel(std::string_view cpuinfo);

// "madvise" of "always [madvise] never"; "" when there is none.
std::string ParseSelected(std::string_view text);

// Read-ahead of a block device in KiB; nullopt when the system does not say.
std::optional<uint64_t> ReadAheadKib(const ReadText& read, unsigned device_major, unsigned device_minor);

// The name of a statfs(2) type: "ext4", "xfs", "tmpfs"; "type 0x..." when unknown.
std::string FileSystemName(uint64_t magic);

}  // namespace headrace::cli
