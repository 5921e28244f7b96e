#include "telemetry/snapshot.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include <fmt/format.h>

#include "base/descriptor.h"

namespace headrace {

static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

void SetLastError(Snapshot& snapshot, const std::string& message) {
  if (snapshot.last_error[0] == '\0') message.copy(snapshot.last_error, sizeof snapshot.last_error - 1);
}

SnapshotWriter::SnapshotWriter() : owned_(std::make_unique<Snapshot>()), snapshot_(owned_.get()) {
  snapshot_->bytes = sizeof(Snapshot);
}

SnapshotWriter::~SnapshotWriter() {
  if (snapshot_ != owned_.get()) ::munmap(static_cast<void*>(snapshot_), sizeof(Snapshot));
}

Status SnapshotWriter::MapFile(const std::string& path) {
  const auto failed = [&](const char* what) {
    return Status(Code::kIo, fmt::format("cannot {} the statistics file {}: {}", what, path, std::strerror(errno)));
  };
  const Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return failed("create");
  if (::ftruncate(fd.get(), 0) != 0 || ::ftruncate(fd.get(), sizeof(Snapshot)) != 0) return failed("size");
  void* address = ::mmap(nullptr, sizeof(Snapshot), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return failed("map");
  snapshot_ = new (address) Snapshot;
  snapshot_->bytes = sizeof(Snapshot);
  snapshot_->process_id = static_cast<uint64_t>(::getpid());
  owned_.reset();
  return {};
}

Result<SnapshotView> SnapshotView::Open(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return Status(Code::kNotFound, fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || info.st_size == 0) return Status(Code::kNotFound, path + " is still empty");
  const auto corrupt = [&] { return Status(Code::kCorrupt, path + " holds no statistics of this version of headrace"); };
  if (info.st_size != static_cast<off_t>(sizeof(Snapshot))) return corrupt();
  void* address = ::mmap(nullptr, sizeof(Snapshot), PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return Status(Code::kIo, fmt::format("cannot map {}: {}", path, std::strerror(errno)));
  SnapshotView view(static_cast<const Snapshot*>(address));
  if (view->magic == 0) return Status(Code::kNotFound, path + " is still empty");
  if (view->magic != Snapshot::kMagic || view->version != Snapshot::kVersion) return corrupt();
  return view;
}

SnapshotView::SnapshotView(SnapshotView&& other) noexcept : snapshot_(std::exchange(other.snapshot_, nullptr)) {}

SnapshotView::~SnapshotView() {
  if (snapshot_ != nullptr) ::munmap(const_cast<Snapshot*>(snapshot_), sizeof(Snapshot));
}

}  // namespace headrace
