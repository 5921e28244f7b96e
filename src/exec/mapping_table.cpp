#include "exec/mapping_table.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/size.h"

namespace headrace {
namespace {

// For whole pages, also those at the ends of the range. The preloaded library defines madvise itself, and leaves some
// advice out.
void Advise(uintptr_t begin, uintptr_t end, int advice) {
  const int saved_errno = errno;
  ::syscall(SYS_madvise, AlignDown(begin, PageBytes()), end - AlignDown(begin, PageBytes()), advice);
  errno = saved_errno;
}

}  // namespace

MappingTable::Mappings::const_iterator MappingTable::FirstOverlap(uintptr_t begin, uintptr_t end) const {
  auto it = mappings_.upper_bound(begin);
  if (it != mappings_.begin() && std::prev(it)->second.end > begin) --it;
  return it != mappings_.end() && it->first < end ? it : mappings_.end();
}

void MappingTable::Add(const void* address, uint64_t bytes, Origin origin) {
  Remove(address, bytes);
  const auto begin = reinterpret_cast<uintptr_t>(address);
  const std::lock_guard lock(mutex_);
  mappings_[begin] = {begin + bytes, std::move(origin), false};
}

bool MappingTable::Remove(const void* address, uint64_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  const auto end = begin + bytes;
  const std::lock_guard lock(mutex_);
  bool known = false;
  for (auto it = FirstOverlap(begin, end); it != mappings_.end(); it = FirstOverlap(begin, end)) {
    known = true;
    const auto [first, mapping] = *it;
    mappings_.erase(it);
    if (first < begin) mappings_[first] = {begin, mapping.origin, mapping.left};
    if (mapping.end > end) {
      Mapping rest = mapping;
      rest.origin.offset += end - first;
      mappings_[end] = std::move(rest);
    }
  }
  return known;
}

std::optional<Origin> MappingTable::Find(const void* address, uint64_t bytes) const {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  const std::lock_guard lock(mutex_);
  const auto it = FirstOverlap(begin, begin + 1);
  if (it == mappings_.end() || it->second.end < begin + bytes) return std::nullopt;
  Origin origin = it->second.origin;
  origin.offset += begin - it->first;
  return origin;
}

bool MappingTable::Overlaps(const void* address, uint64_t bytes) const {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  const std::lock_guard lock(mutex_);
  return FirstOverlap(begin, begin + bytes) != mappings_.end();
}

std::set<uint32_t> MappingTable::models() const {
  const std::lock_guard lock(mutex_);
  std::set<uint32_t> models;
  for (const auto& [begin, mapping] : mappings_) models.insert(mapping.origin.model);
  return models;
}

uint64_t MappingTable::BytesOf(uint32_t model) const {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& [begin, mapping] : mappings_) bytes += mapping.origin.model == model ? mapping.end - begin : 0;
  return bytes;
}

void MappingTable::TakeFromKernel(const void* address, uint64_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(address), end = begin + bytes;
  const std::lock_guard lock(mutex_);
  for (auto it = FirstOverlap(begin, end); it != mappings_.end() && it->first < end; ++it) {
    if (!it->second.left) Advise(std::max(begin, it->first), std::min(end, it->second.end), MADV_RANDOM);
  }
}

void MappingTable::LeaveToKernel(const void* address, uint64_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(address), end = begin + bytes;
  const std::lock_guard lock(mutex_);
  for (auto it = FirstOverlap(begin, end); it != mappings_.end() && it->first < end; ++it) {
    Mapping& mapping = mappings_.at(it->first);
    if (mapping.left) continue;
    Advise(std::max(begin, it->first), std::min(end, mapping.end), MADV_NORMAL);
    mapping.left = begin <= it->first && mapping.end <= end;
  }
}

bool MappingTable::Streams(const void* address, uint64_t bytes) const {
  const auto begin = reinterpret_cast<uintptr_t>(address), end = begin + bytes;
  const std::lock_guard lock(mutex_);
  for (auto it = FirstOverlap(begin, end); it != mappings_.end() && it->first < end; ++it) {
    if (!it->second.left) return true;
  }
  return false;
}

bool MappingTable::empty() const {
  const std::lock_guard lock(mutex_);
  return mappings_.empty();
}

}  // namespace headrace
