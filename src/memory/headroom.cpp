#include "memory/headroom.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/size.h"
#include "memory/available.h"

namespace headrace {
namespace {

// Half of what a plan leaves free at least (LeastMarginBytes): a plan can be filled although what is available wavers.
constexpr uint64_t kFreeBytes = 32 * kMiB;

void TouchPages(std::byte* data, uint64_t bytes) {
#ifdef MADV_POPULATE_WRITE
  if (::madvise(data, bytes, MADV_POPULATE_WRITE) == 0) return;
#endif
  // Linux before 5.14. A read may be writing there.
  for (uint64_t at = 0; at < bytes; at += PageBytes())
    std::atomic_ref(*reinterpret_cast<unsigned char*>(data + at)).fetch_or(0);
}

}  // namespace

bool Headroom::Has(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (now - refused_at_ < kSameAnswer) return false;
  if (Look(bytes)) return true;
  refused_at_ = now;
  refused_ = true;
  return false;
}

bool Headroom::Look(uint64_t bytes) {
  const auto now = Clock::now();
  if (now - groups_found_ >= kSameGroups) {
    groups_ = FindCgroups(read_);
    groups_found_ = now;
  }
  if (now - machine_seen_ >= kSameMachine) {
    const auto text = read_("/proc/meminfo");
    const auto info = text ? ParseMeminfo(*text) : std::nullopt;
    machine_bytes_ = info ? info->available_bytes : UINT64_MAX;
    machine_seen_ = now;
  }
  const uint64_t needed = bytes + kFreeBytes;
  if (machine_bytes_ < needed) return false;
  for (const Cgroup& group : groups_) {
    // Most groups hold little page cache: it is counted only where that decides.
    auto limit = ReadCgroupLimit(read_, group, false);
    if (limit && limit->available_bytes() < needed) limit = ReadCgroupLimit(read_, group, true);
    if (limit && limit->available_bytes() < needed) return false;
  }
  if (machine_bytes_ != UINT64_MAX) machine_bytes_ -= std::min(machine_bytes_, bytes);
  return true;
}

bool Headroom::Touch(std::byte* data, uint64_t bytes) {
  std::byte* const begin = reinterpret_cast<std::byte*>(AlignDown(reinterpret_cast<uint64_t>(data), PageBytes()));
  std::byte* const end = reinterpret_cast<std::byte*>(AlignUp(reinterpret_cast<uint64_t>(data) + bytes, PageBytes()));
  for (std::byte* at = begin; at < end;) {
    const uint64_t piece = std::min<uint64_t>(kPieceBytes, static_cast<uint64_t>(end - at));
    if (!Has(piece)) return false;
    TouchPages(at, piece);
    at += piece;
  }
  return true;
}

}  // namespace headrace
