#include "exec/mapping_table.h"

#include <algorithm>

namespace headrace {

MappingTable::Mappings::const_iterator MappingTable::FirstOverlap(uintptr_t begin, uintptr_t end) const {
  auto it = mappings_.upper_bound(begin);
  if (it != mappings_.begin() && std::prev(it)->second.end > begin) --it;
  return it != mappings_.end() && it->first < end ? it : mappings_.end();
}

void MappingTable::Add(const void* address, uint64_t bytes, Origin origin) {
  Remove(address, bytes);
  const auto begin = reinterpret_cast<uintptr_t>(address);
  const std::lock_guard lock(mutex_);
  mappings_[begin] = {begin + bytes, std::move(origin)};
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
    if (first < begin) mappings_[first] = {begin, mapping.origin};
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

bool MappingTable::HasModel(uint32_t model) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(mappings_.begin(), mappings_.end(), [&](const auto& entry) { return entry.second.origin.model == model; });
}

uint64_t MappingTable::bytes() const {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& [begin, mapping] : mappings_) bytes += mapping.end - begin;
  return bytes;
}

bool MappingTable::empty() const {
  const std::lock_guard lock(mutex_);
  return mappings_.empty();
}

}  // namespace headrace
