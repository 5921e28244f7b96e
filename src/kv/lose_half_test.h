// A KV cache's file whose disk fails, for tests.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/size.h"
#include "kv/kv_file.h"

namespace headrace {

// Takes the second half of the file away: its pages then fail to be read. False: it was not found among the process's
// nameless files.
inline bool LoseHalf(const KvFile& file) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    struct stat info {};
    if (stat(entry.path().c_str(), &info) != 0 || info.st_nlink > 0 ||
        static_cast<uint64_t>(info.st_size) != file.bytes())
      continue;
    return truncate(entry.path().c_str(), static_cast<off_t>(AlignDown(file.bytes() / 2, PageBytes()))) == 0;
  }
  return false;
}

}  // namespace headrace
