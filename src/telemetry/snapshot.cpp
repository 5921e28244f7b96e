#include "telemetry/snapshot.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <type_traits>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/standard_streams.h"
#include "telemetry/last_failure.h"
#include "telemetry/snapshot_files.h"

namespace headrace {

static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);
static_assert(std::is_trivially_copyable_v<Snapshot> && std::is_standard_layout_v<Snapshot>);

namespace {

// Locks the file for as long as the descriptor is open, or only asks who has (F_OFD_GETLK). Locks of this kind
// belong to the open file, so a reader that asks takes nothing away.
int Lock(int fd, int command, struct flock& lock) {
  lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return ::fcntl(fd, command, &lock);
}

bool IsLocked(int fd) {
  struct flock lock {};
  return Lock(fd, F_OFD_GETLK, lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace

void SetLastError(Snapshot& snapshot, const std::string& message) {
  SetLastFailure(message);
  // Threads that fail at the same time write one after the other.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  snapshot.errors.fetch_add(1, std::memory_order_relaxed);
  if (snapshot.last_error[0] == '\0') message.copy(snapshot.last_error, sizeof snapshot.last_error - 1);
}

SnapshotWriter::SnapshotWriter() : owned_(std::make_unique<Snapshot>()), snapshot_(owned_.get()) {
  owned_->bytes = sizeof(Snapshot);
}

SnapshotWriter::~SnapshotWriter() {
  if (mapped()) ::munmap(static_cast<void*>(snapshot_.load()), sizeof(Snapshot));
}

Status SnapshotWriter::MapFile(const std::string& path) {
  std::string name = path;
  const auto failed = [&](const char* what) {
    return Status(Code::kIo, fmt::format("cannot {} the statistics file {}: {}", what, name, std::strerror(errno)));
  };
  const auto open = [&](int flags) {
    return AboveStandardStreams(::open(name.c_str(), O_RDWR | O_CLOEXEC | flags, 0600));
  };
  Descriptor fd = open(O_CREAT);
  if (!fd.valid()) return failed("create");
  struct flock lock {};
  // A file system without locks is used all the same: only `headrace top` does not show it.
  if (Lock(fd.get(), F_OFD_SETLK, lock) != 0 && (errno == EAGAIN || errno == EACCES)) {
    name = fmt::format("{}.{}", path, ::getpid());
    fd = open(O_CREAT | O_EXCL);  // a name that others can foresee
    if (!fd.valid()) return failed("create");
    [[maybe_unused]] const int alone = Lock(fd.get(), F_OFD_SETLK, lock);
  }
  if ((errno = ReserveSnapshot(fd.get())) != 0) return failed("reserve");
  // Another length would be another version's.
  if (::ftruncate(fd.get(), sizeof(Snapshot)) != 0) return failed("size");
  // A mapping keeps its open file, and so the lock, in a forked child too: it gets an open file of its own.
  const Descriptor mapped_fd = open(0);
  if (!mapped_fd.valid()) return failed("open");
  void* address = ::mmap(nullptr, sizeof(Snapshot), PROT_READ | PROT_WRITE, MAP_SHARED, mapped_fd.get(), 0);
  if (address == MAP_FAILED) return failed("map");
  owned_->process_id = static_cast<uint64_t>(::getpid());
  std::memcpy(address, static_cast<const void*>(owned_.get()), sizeof(Snapshot));
  snapshot_ = static_cast<Snapshot*>(address);
  lock_ = std::move(fd);
  path_ = name;
  return {};
}

void SnapshotWriter::LeaveToParent() { const Descriptor closed = std::move(lock_); }

Result<SnapshotView> SnapshotView::Open(const std::string& path) {
  // Not a fifo that waits for a writer, not a link to anywhere.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!fd.valid()) {
    const Code code = errno == EACCES || errno == EPERM ? Code::kPermission
                      : errno == ELOOP                  ? Code::kCorrupt
                                                        : Code::kNotFound;
    return Status(code, fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  }
  struct stat info {};
  const bool readable = ::fstat(fd.get(), &info) == 0;
  if (readable && S_ISREG(info.st_mode) && info.st_size == 0) return Status(Code::kNotFound, path + " is still empty");
  SnapshotView view;
  view.snapshot_ = std::make_unique<Snapshot>();
  view.snapshot_->magic = 0;
  const ssize_t count = !readable || !S_ISREG(info.st_mode)
                            ? 0
                            : ::pread(fd.get(), static_cast<void*>(view.snapshot_.get()), sizeof(Snapshot), 0);
  // The first fields of every version.
  if (count >= static_cast<ssize_t>(offsetof(Snapshot, process_id)) && view->magic == Snapshot::kMagic &&
      view->version != Snapshot::kVersion) {
    return Status(Code::kUnsupported, fmt::format("{} is of another version of headrace ({}, this one reads {})", path,
                                                  view->version, Snapshot::kVersion));
  }
  // Reserved and never written, of whatever version: its size says nothing.
  if (count >= static_cast<ssize_t>(sizeof view->magic) && view->magic == 0)
    return Status(Code::kNotFound, path + " is still empty");
  if (count != static_cast<ssize_t>(sizeof(Snapshot)) || info.st_size != count || view->magic != Snapshot::kMagic ||
      view->bytes != sizeof(Snapshot)) {
    return Status(Code::kCorrupt, path + " holds no statistics of headrace");
  }
  view.snapshot_->model[sizeof view.snapshot_->model - 1] = '\0';
  view.snapshot_->last_error[sizeof view.snapshot_->last_error - 1] = '\0';
  view.alive_ = IsLocked(fd.get());
  view.user_ = info.st_uid;
  return view;
}

}  // namespace headrace
