// The memory limits of control groups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/text_file.h"

namespace headrace {

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
// Reads /proc/self/cgroup, /proc/self/mountinfo and the groups' files. Thread-safe.
std::optional<CgroupLimit> FindCgroupLimit(const ReadText& read);

}  // namespace headrace
