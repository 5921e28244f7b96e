#include "memory/region.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace headrace {
namespace {

std::atomic<uint64_t> g_committed_bytes{0};
std::atomic<bool> g_locked{false};

struct Announced {
  explicit Announced(uint64_t count) : bytes(count) { g_committed_bytes += bytes; }
  ~Announced() { g_committed_bytes -= bytes; }
  const uint64_t bytes;
};

// The preloaded library defines mmap itself, so its own memory comes straight from the kernel.
std::byte* MapAnonymous(uint64_t bytes) {
  const long address =
      ::syscall(SYS_mmap, nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return address == -1 ? nullptr : reinterpret_cast<std::byte*>(address);
}

void UnmapRange(std::byte* address, uint64_t bytes) {
  if (bytes > 0) ::syscall(SYS_munmap, address, bytes);
}

Status SystemError(const char* action, uint64_t bytes, int error) {
  return Status(error == ENOMEM ? Code::kOutOfBudget : Code::kIo,
                fmt::format("cannot {} {} of memory: {}", action, FormatSize(bytes), std::strerror(error)));
}

Status LockError(uint64_t bytes, uint64_t locked, int error) {
  if (error != ENOMEM && error != EPERM && error != EAGAIN) return SystemError("lock", bytes, error);
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  const std::string beside = locked > 0 ? fmt::format(" beside {}", FormatSize(locked)) : "";
  return Status(
      Code::kOutOfBudget,
      fmt::format(
          "cannot lock {} of memory{}: {} may be locked (ulimit -l); raise that limit, use less memory or do not lock",
          FormatSize(bytes), beside, FormatSize(limit.rlim_cur)));
}

}  // namespace

Region::Region(Region&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      committed_bytes_(std::exchange(other.committed_bytes_, 0)),
      owner_(other.owner_),
      committed_(std::move(other.committed_)) {}

Region& Region::operator=(Region&& other) noexcept {
  if (this != &other) {
    Unmap();
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    committed_bytes_ = std::exchange(other.committed_bytes_, 0);
    owner_ = other.owner_;
    committed_ = std::move(other.committed_);
  }
  return *this;
}

void Region::Unmap() {
  // In a forked child the mapping does not exist and its addresses may be somebody else's.
  if (data_ != nullptr && owner_ == ::getpid()) UnmapRange(data_, bytes_);
  g_committed_bytes -= committed_bytes_;
  data_ = nullptr;
  bytes_ = 0;
  committed_bytes_ = 0;
}

uint64_t Region::CommittedInProcess() { return g_committed_bytes; }

void Region::LockFromNowOn(bool lock) { g_locked = lock; }

// Pages are locked when they are touched first. What was committed before keeps its access on an error.
Status Region::Lock(uint64_t begin, uint64_t end) {
  if (::mlock2(data_ + begin, end - begin, MLOCK_ONFAULT) == 0) return {};
  const int error = errno;
  for (uint64_t page = begin; page < end; page += PageBytes()) {
    if (!committed_[page / kHugePageBytes][page % kHugePageBytes / kUnitBytes])
      ::mprotect(data_ + page, PageBytes(), PROT_NONE);
  }
  return LockError(end - begin, g_committed_bytes - (end - begin), error);
}

// Tried with memory that is never touched: privileges lift the limit.
Status Region::MayLock(uint64_t bytes) {
  bytes = AlignUp(bytes, PageBytes());
  auto region = Reserve(bytes);
  if (!region.ok()) return region.status();
  if (::mprotect(region->data_, bytes, PROT_READ | PROT_WRITE) != 0) return SystemError("lock", bytes, errno);
  return ::mlock2(region->data_, bytes, MLOCK_ONFAULT) == 0 ? Status() : LockError(bytes, 0, errno);
}

Result<Region> Region::Reserve(uint64_t bytes) {
  if (bytes == 0) return Status(Code::kInvalidArgument, "cannot reserve a region of 0 bytes");
  // No address space of this size exists; also keeps the rounding below from wrapping around.
  if (bytes > UINT64_MAX / 4) return SystemError("reserve", bytes, ENOMEM);
  bytes = AlignUp(bytes, PageBytes());
  const uint64_t padded = bytes + kHugePageBytes;

  Region region;
  std::byte* const raw = MapAnonymous(padded);
  if (raw == nullptr) return SystemError("reserve", bytes, errno);
  const uint64_t skip = AlignUp(reinterpret_cast<uintptr_t>(raw), kHugePageBytes) - reinterpret_cast<uintptr_t>(raw);
  UnmapRange(raw, skip);
  UnmapRange(raw + skip + bytes, padded - skip - bytes);
  region.data_ = raw + skip;
  region.bytes_ = bytes;
  region.owner_ = ::getpid();
  if (::madvise(region.data_, bytes, MADV_DONTFORK) != 0) return SystemError("reserve", bytes, errno);
  try {
    region.committed_.resize(AlignUp(bytes, kHugePageBytes) / kHugePageBytes);
  } catch (const std::bad_alloc&) {
    return SystemError("reserve", bytes, ENOMEM);
  }
  return region;
}

Status Region::Commit(uint64_t offset, uint64_t bytes) {
  if (offset > bytes_ || bytes > bytes_ - offset) {
    return Status(Code::kInvalidArgument,
                  fmt::format("cannot commit {} bytes at {} of a region of {} bytes", bytes, offset, bytes_));
  }
  if (bytes == 0) return Status();
  const uint64_t begin = AlignDown(offset, PageBytes());
  const uint64_t end = AlignUp(offset + bytes, PageBytes());
  // Counted before it is there: whoever measures the process meanwhile takes none of it for something else's.
  const Announced announced(end - begin);
  if (::mprotect(data_ + begin, end - begin, PROT_READ | PROT_WRITE) != 0)
    return SystemError("commit", end - begin, errno);
  if (g_locked) {
    if (const Status locked = Lock(begin, end); !locked.ok()) return locked;
  }
  Mark(begin, end, true);

  // The huge pages that are complete now: the inner ones, and one at either end that earlier commits share.
  uint64_t first = begin / kHugePageBytes;
  uint64_t last = (end + kHugePageBytes - 1) / kHugePageBytes;
  if (!committed_[first].all()) ++first;
  if (last > first && !committed_[last - 1].all()) --last;
  if (last > first) {
    // Only a hint: a kernel without huge pages refuses it.
    ::madvise(data_ + first * kHugePageBytes, (last - first) * kHugePageBytes, MADV_HUGEPAGE);
  }
  return Status();
}

void Region::Decommit(uint64_t offset, uint64_t bytes) {
  if (offset >= bytes_) return;
  const uint64_t begin = AlignUp(offset, PageBytes());
  const uint64_t end = AlignDown(offset + std::min(bytes, bytes_ - offset), PageBytes());
  if (begin >= end) return;
  // Neither call can fail on a mapping of ours but for a lack of mappings (when the range is split); the
  // pages then stay accessible, yet their memory is gone, which is what was promised.
  if (g_locked) ::munlock(data_ + begin, end - begin);
  ::madvise(data_ + begin, end - begin, MADV_DONTNEED);
  [[maybe_unused]] const int refused = ::mprotect(data_ + begin, end - begin, PROT_NONE);
  Mark(begin, end, false);
}

void Region::Mark(uint64_t begin, uint64_t end, bool committed) {
  const uint64_t committed_before = committed_bytes_;
  for (uint64_t unit = begin / kUnitBytes; unit < end / kUnitBytes;) {
    auto& huge = committed_[unit / kUnitsPerHuge];
    const uint64_t stop = std::min(end / kUnitBytes, (unit / kUnitsPerHuge + 1) * kUnitsPerHuge);
    const uint64_t before = huge.count();
    if (stop - unit == kUnitsPerHuge) {
      committed ? huge.set() : huge.reset();
      unit = stop;
    } else {
      for (; unit < stop; ++unit) huge.set(unit % kUnitsPerHuge, committed);
    }
    committed_bytes_ += (huge.count() - before) * kUnitBytes;  // modulo 2^64: also counts downwards
  }
  g_committed_bytes += committed_bytes_ - committed_before;
}

}  // namespace headrace
