// The memory limits of control groups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/text_file.h"

namespace headrace {

// A control group that this process is in, or one above it.
struct Cgroup {
  int version = 0;  // 1 or 2
  std::string directory;
  friend bool operator==(const Cgroup&, const Cgroup&) = default;
};

// All groups that can limit this process's memory, each followed by those above it, up to the root. Reads
// /proc/self/cgroup and /proc/self/mountinfo. Thread-safe.
std::vector<Cgroup> FindCgroups(const ReadText& read);

// A memory limit of such a group.
struct CgroupLimit {
  int version = 0;  // 1 or 2
  std::string directory;
  uint64_t limit_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t page_cache_bytes = 0;  // of that: file pages, which the kernel takes back when it needs them

  uint64_t available_bytes() const {
    const uint64_t held = used_bytes > page_cache_bytes ? used_bytes - page_cache_bytes : 0;
    return limit_bytes > held ? limit_bytes - held : 0;
  }
};

// The limit of one group; nullopt: it has none. To count its page cache takes ten times as long as all else; without
// that page_cache_bytes is 0. Thread-safe.
std::optional<CgroupLimit> ReadCgroupLimit(const ReadText& read, const Cgroup& group, bool count_page_cache);

// The limit that leaves least, over versions 1 and 2 and all groups up to the root; nullopt without any.
// Reads /proc/self/cgroup, /proc/self/mountinfo and the groups' files. Thread-safe.
std::optional<CgroupLimit> FindCgroupLimit(const ReadText& read);

}  // namespace headrace
