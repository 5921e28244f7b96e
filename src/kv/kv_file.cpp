#include "kv/kv_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "base/free_space.h"
#include "base/size.h"
#include "base/standard_streams.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

namespace headrace {
namespace {

// Bytes that are filled before they are written out, or asked about at once.
constexpr uint64_t kStepBytes = 4 * kMiB;

constexpr const char* kRemedies =
    "free some space, name another folder with --kv-dir, or make the KV cache smaller: a smaller "
    "context (-c), quantized keys and values (-ctk q8_0 -ctv q8_0)";

Status SystemError(const std::string& folder, const char* action, int error) {
  Code code = Code::kIo;
  if (error == ENOENT || error == ENOTDIR) code = Code::kNotFound;
  if (error == EACCES || error == EPERM || error == EROFS) code = Code::kPermission;
  return Status(code, fmt::format("{}: cannot {}: {}", folder, action, std::strerror(error)));
}

// The preloaded library defines madvise and others itself, so these go straight to the kernel.
int Advise(void* address, uint64_t bytes, int advice) {
  return static_cast<int>(::syscall(SYS_madvise, address, bytes, advice));
}

Result<Descriptor> OpenNameless(const std::string& folder) {
  Descriptor fd = AboveStandardStreams(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600));
  if (fd.valid()) return fd;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
    return SystemError(folder, "create a file for the KV cache", errno);
  // Some network and stacked file systems: a name for a moment.
  std::string path = folder + "/headrace-kv-XXXXXX";
  Descriptor named = AboveStandardStreams(::mkostemp(path.data(), O_CLOEXEC));
  if (!named.valid()) return SystemError(folder, "create a file for the KV cache", errno);
  ::unlink(path.c_str());
  return named;
}

// Blocks of copy-on-write files are reserved only for the first write into them.
void TurnOffCopyOnWrite(int fd) {
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0 || static_cast<unsigned long>(info.f_type) != BTRFS_SUPER_MAGIC) return;
  int flags = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return;
  flags |= FS_NOCOW_FL;
  ::ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

Status ReserveBlocks(int fd, const std::string& folder, uint64_t bytes) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur) {  // SIGXFSZ otherwise
    return Status(Code::kOutOfBudget,
                  fmt::format("{}: the KV cache needs a file of {}, and this process may write files of at most {} "
                              "(ulimit -f)",
                              folder, FormatSize(bytes), FormatSize(limit.rlim_cur)));
  }
  const uint64_t free = FreeSpace(fd).value_or(UINT64_MAX);
  int error = free < bytes ? ENOSPC : 0;
  while (error == 0 && ::fallocate(fd, 0, 0, static_cast<off_t>(bytes)) != 0) {
    if (errno != EINTR) error = errno;
  }
  if (error == 0) return {};
  if (error == ENOSPC) {
    return Status(Code::kOutOfBudget, fmt::format("{}: the KV cache needs {} of disk and only {} are free: {}", folder,
                                                  FormatSize(bytes), FormatSize(free), kRemedies));
  }
  if (error == EDQUOT || error == EFBIG) {
    return Status(Code::kOutOfBudget, fmt::format("{}: cannot reserve {} for the KV cache: {}: {}", folder,
                                                  FormatSize(bytes), std::strerror(error), kRemedies));
  }
  if (error == EOPNOTSUPP || error == ENOSYS || error == EINVAL) {
    return Status(
        Code::kUnsupported,
        fmt::format("{}: this file system cannot reserve space (fallocate), so that a full disk would end the "
                    "program; name a folder on another one (ext4, xfs, btrfs) with --kv-dir",
                    folder));
  }
  return SystemError(folder, "reserve space for the KV cache", error);
}

}  // namespace

Status KvFile::CheckFolder(const std::string& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) return SystemError(folder, "use it for the KV cache", errno);
  if (!S_ISDIR(info.st_mode))
    return Status(Code::kInvalidArgument, fmt::format("{}: not a folder; --kv-dir needs one", folder));
  if (::access(folder.c_str(), W_OK | X_OK) != 0) return SystemError(folder, "write into it", errno);
  struct statfs system {};
  if (::statfs(folder.c_str(), &system) != 0) return SystemError(folder, "use it for the KV cache", errno);
  const auto type = static_cast<unsigned long>(system.f_type);
  if (type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC) {
    return Status(Code::kUnsupported,
                  fmt::format("{}: this file system lies in memory, so a KV cache in it saves none; name a folder on a "
                              "disk with --kv-dir",
                              folder));
  }
  return {};
}

Result<KvFile> KvFile::Create(const std::string& folder, uint64_t bytes) {
  HEADRACE_RETURN_IF_ERROR(CheckFolder(folder));
  KvFile file;
  file.folder_ = folder;
  file.bytes_ = AlignUp(bytes, PageBytes());
  auto fd = OpenNameless(folder);
  if (!fd.ok()) return fd.status();
  file.fd_ = std::move(*fd);
  TurnOffCopyOnWrite(file.fd_.get());
  HEADRACE_RETURN_IF_ERROR(ReserveBlocks(file.fd_.get(), folder, file.bytes_));
  const long address =
      ::syscall(SYS_mmap, nullptr, file.bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd_.get(), 0L);
  if (address == -1) return SystemError(folder, "map the KV cache", errno);
  file.data_ = reinterpret_cast<std::byte*>(address);
  file.owner_ = ::getpid();
  Advise(file.data_, file.bytes_, MADV_DONTFORK);
  // What a page fault reads on its own account is that page: all else is asked for.
  Advise(file.data_, file.bytes_, MADV_RANDOM);
  return file;
}

KvFile::KvFile(KvFile&& other) noexcept
    : folder_(std::move(other.folder_)),
      fd_(std::move(other.fd_)),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(other.bytes_),
      owner_(other.owner_) {}

KvFile::~KvFile() {
  if (data_ != nullptr && owner_ == ::getpid()) ::syscall(SYS_munmap, data_, bytes_);
}

bool KvFile::Holds(const void* address) const {
  const auto at = reinterpret_cast<uintptr_t>(address), begin = reinterpret_cast<uintptr_t>(data_);
  return at >= begin && at - begin < bytes_;
}

Status KvFile::Fill(uint8_t value) {
  if (value == 0 && ::fallocate(fd_.get(), FALLOC_FL_ZERO_RANGE, 0, static_cast<off_t>(bytes_)) == 0) return {};
  for (uint64_t at = 0; at < bytes_; at += kStepBytes) {
    const PageRange piece{at, std::min(at + kStepBytes, bytes_)};
    std::memset(data_ + piece.begin, value, piece.bytes());
    HEADRACE_RETURN_IF_ERROR(Evict(piece));
  }
  return {};
}

void KvFile::ReadAhead(const PageRange& range) const {
  ::readahead(fd_.get(), static_cast<off64_t>(range.begin), range.bytes());  // only a hint
}

Status KvFile::Load(const PageRange& range) const {
  while (Advise(data_ + range.begin, range.bytes(), MADV_POPULATE_READ) != 0) {
    if (errno == EINTR || errno == EAGAIN) continue;
    if (errno == EINVAL) return {};  // before Linux 5.14: whoever touches the pages reads them
    return SystemError(folder_, "read the KV cache from its file", errno == EFAULT ? EIO : errno);
  }
  return {};
}

Status KvFile::Evict(const PageRange& range) const {
  // In this order: only pages that are neither mapped nor changed can go.
  Advise(data_ + range.begin, range.bytes(), MADV_DONTNEED);
  const auto offset = static_cast<off64_t>(range.begin), length = static_cast<off64_t>(range.bytes());
  if (::sync_file_range(fd_.get(), offset, length,
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) != 0) {
    return SystemError(folder_, "write the KV cache to its file", errno);
  }
  ::posix_fadvise(fd_.get(), offset, length, POSIX_FADV_DONTNEED);
  return {};
}

Status KvFile::CheckWritten() const {
  if (::sync_file_range(fd_.get(), 0, static_cast<off64_t>(PageBytes()), SYNC_FILE_RANGE_WAIT_BEFORE) == 0) return {};
  return SystemError(folder_, "write the KV cache to its file", errno);
}

uint64_t KvFile::CachedBytes() const {
  std::vector<unsigned char> pages(kStepBytes / PageBytes());
  uint64_t cached = 0;
  for (uint64_t at = 0; at < bytes_; at += kStepBytes) {
    const uint64_t bytes = std::min(kStepBytes, bytes_ - at);
    if (::mincore(data_ + at, bytes, pages.data()) != 0) return cached;
    cached +=
        static_cast<uint64_t>(std::count_if(pages.begin(), pages.begin() + static_cast<ptrdiff_t>(bytes / PageBytes()),
                                            [](unsigned char page) { return (page & 1) != 0; }));
  }
  return cached * PageBytes();
}

}  // namespace headrace
