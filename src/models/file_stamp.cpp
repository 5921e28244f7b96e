#include "models/file_stamp.h"

#include <sys/stat.h>

namespace headrace {

std::optional<FileStamp> StampOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileStamp{path, info.st_dev, info.st_ino, static_cast<uint64_t>(info.st_size),
                   int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

std::string ChangedFile(const std::vector<FileStamp>& stamps) {
  for (const FileStamp& stamp : stamps) {
    const auto now = StampOf(stamp.path);
    if (now && *now != stamp) return stamp.path;
  }
  return "";
}

}  // namespace headrace
