// How much this user may still write to the disk that a file or folder lies on, in bytes. None: errno says why.
#pragma once

#include <sys/statvfs.h>

#include <cstdint>
#include <optional>
#include <string>

namespace headrace {

inline uint64_t FreeSpaceIn(const struct statvfs& disk) { return uint64_t{disk.f_bavail} * disk.f_frsize; }

inline std::optional<uint64_t> FreeSpace(const std::string& path) {
  struct statvfs disk {};
  return ::statvfs(path.c_str(), &disk) == 0 ? std::optional(FreeSpaceIn(disk)) : std::nullopt;
}

inline std::optional<uint64_t> FreeSpace(int fd) {
  struct statvfs disk {};
  return ::fstatvfs(fd, &disk) == 0 ? std::optional(FreeSpaceIn(disk)) : std::nullopt;
}

}  // namespace headrace
