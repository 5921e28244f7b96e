// What a file was at a time: enough to notice that it was touched, written to, or replaced.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace headrace {

struct FileStamp {
  std::string path;
  uint64_t device = 0, inode = 0, size = 0;
  int64_t modified_ns = 0;  // since 1970

  bool operator==(const FileStamp&) const = default;
};

// None where there is no such file. Follows links.
std::optional<FileStamp> StampOf(const std::string& path);

// The first of them that is not what it was; "" when all are. A file that is gone is no other file: whoever has it open
// goes on.
std::string ChangedFile(const std::vector<FileStamp>& stamps);

}  // namespace headrace
