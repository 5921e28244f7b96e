#include "io/source_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/hash.h"
#include "base/log.h"
#include "base/size.h"
#include "base/standard_streams.h"

namespace headrace {
namespace {

Status SystemError(const std::string& path, const char* action, int error) {
  Code code = Code::kIo;
  if (error == ENOENT || error == ENOTDIR) code = Code::kNotFound;
  if (error == EACCES || error == EPERM) code = Code::kPermission;
  if (error == ENXIO || error == ENODEV) code = Code::kInvalidArgument;  // a socket, a device that is absent
  return Status(code, fmt::format("{}: cannot {}: {}", path, action, std::strerror(error)));
}

// Reads the first page; 0 or errno.
int TryFirstPage(int fd) {
  alignas(kReadAlignment) char page[kReadAlignment];
  for (;;) {
    if (::pread(fd, page, sizeof page, 0) >= 0) return 0;
    if (errno != EINTR && errno != EAGAIN) return errno;
  }
}

// Since Linux 6.6 tmpfs accepts O_DIRECT and copies from the page cache all the same.
bool LiesInMemory(int fd) {
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0) return false;
  const auto type = static_cast<unsigned long>(info.f_type);
  return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC;
}

}  // namespace

Result<SourceFile> SourceFile::Open(const std::string& opened, Access access, const std::string& name) {
  const std::string& path = name.empty() ? opened : name;
  if (opened.find('\0') != std::string::npos) {
    return Status(Code::kInvalidArgument, fmt::format("{}: the path holds a zero byte", path.c_str()));
  }
  SourceFile file;
  file.path_ = path;
  file.fd_ = AboveStandardStreams(::open(opened.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.fd_.valid()) return SystemError(path, "open", errno);
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) return SystemError(path, "stat", errno);
  if (!S_ISREG(info.st_mode)) return Status(Code::kInvalidArgument, fmt::format("{}: not a regular file", path));
  file.size_ = static_cast<uint64_t>(info.st_size);
  file.identity_ = {info.st_dev, info.st_ino};
  file.modified_ = info.st_mtim;

  // Setting the flags anew also clears O_NONBLOCK, with which io_uring would refuse to wait for the disk.
  if (access == Access::kDirect && !LiesInMemory(file.fd()) && ::fcntl(file.fd(), F_SETFL, O_DIRECT) == 0 &&
      TryFirstPage(file.fd()) == 0) {
    file.direct_ = true;
    return file;
  }
  if (::fcntl(file.fd(), F_SETFL, 0) != 0) return SystemError(path, "set up", errno);
  // Read-ahead would fill memory that nobody accounts for, beyond what DropCache reaches. Before the first
  // read, because a page that it marked for read-ahead starts it again in spite of this advice.
  ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_RANDOM);
  if (const int error = TryFirstPage(file.fd()); error != 0) return SystemError(path, "read", error);
  return file;
}

bool SourceFile::LeaveDirect() const {
  if (!std::atomic_ref(direct_).exchange(false)) return false;
  ::fcntl(fd(), F_SETFL, 0);
  ::posix_fadvise(fd(), 0, 0, POSIX_FADV_RANDOM);
  LogWarning(
      fmt::format("{}: this file system refuses direct reads (O_DIRECT) after it had allowed them; reading through the "
                  "page cache, which is slower",
                  path_));
  return true;
}

Status SourceFile::CheckUnchanged() const {
  struct stat info {};
  if (::fstat(fd(), &info) != 0) return SystemError(path_, "stat", errno);
  if (static_cast<uint64_t>(info.st_size) != size_) {
    return Status(Code::kChanged,
                  fmt::format("{}: changed while in use: it had {} bytes and has {} now", path_, size_, info.st_size));
  }
  if (info.st_mtim.tv_sec != modified_.tv_sec || info.st_mtim.tv_nsec != modified_.tv_nsec) {
    return Status(Code::kChanged, fmt::format("{}: changed while in use: it was written to", path_));
  }
  return Status();
}

Result<uint64_t> SourceFile::Fingerprint() const {
  constexpr uint64_t kSamples = 16;
  constexpr uint64_t kSampleBytes = 4 * kReadAlignment;
  alignas(kReadAlignment) char sample[kSampleBytes];
  uint64_t hash = HashBytes({reinterpret_cast<const char*>(&size_), sizeof size_});
  const uint64_t last = size_ - std::min(size_, kSampleBytes);
  for (uint64_t i = 0; i < kSamples; ++i) {
    const uint64_t offset = AlignDown(last / (kSamples - 1) * i, kReadAlignment);
    ssize_t got = 0;
    do {
      got = ::pread(fd(), sample, sizeof sample, static_cast<off_t>(offset));
    } while (got < 0 && errno == EINTR);
    if (got < 0) return SystemError(path_, "read", errno);
    hash = HashBytes({sample, static_cast<size_t>(got)}, hash);
  }
  return hash;
}

void SourceFile::DropCache(uint64_t offset, uint64_t length) const {
  // Of a page that is named in part the kernel forgets nothing.
  const uint64_t begin = AlignDown(offset, PageBytes()), end = AlignUp(offset + length, PageBytes());
  ::posix_fadvise(fd(), static_cast<off_t>(begin), static_cast<off_t>(end - begin), POSIX_FADV_DONTNEED);
}

}  // namespace headrace
