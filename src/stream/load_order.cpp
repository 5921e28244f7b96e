#include "stream/load_order.h"

namespace headrace {
namespace {

// The place of the last range that came as the last one did; 0 for none.
size_t LastAlike(const std::vector<FileRange>& asked) {
  if (asked.size() < 4) return 0;
  const FileRange &last = asked.back(), &before = asked[asked.size() - 2];
  for (size_t i = asked.size() - 2; i > 0; --i) {
    if (asked[i].bytes == last.bytes && asked[i - 1].bytes == before.bytes &&
        asked[i].offset - asked[i - 1].offset == last.offset - before.offset)
      return i;
  }
  return 0;
}

}  // namespace

std::vector<FileRange> LoadOrder::Next(uint64_t bytes, uint64_t file_bytes) const {
  const size_t alike = LastAlike(asked_);
  std::vector<FileRange> next;
  if (alike == 0) return next;
  const uint64_t shift = asked_.back().offset - asked_[alike].offset;  // wraps where it goes back
  const size_t period = asked_.size() - 1 - alike;
  for (uint64_t sum = 0; sum < bytes;) {
    FileRange range = next.size() < period ? asked_[alike + 1 + next.size()] : next[next.size() - period];
    range.offset += shift;
    if (range.bytes == 0 || range.offset > file_bytes || range.bytes > file_bytes - range.offset) break;
    sum += range.bytes;
    next.push_back(range);
  }
  return next;
}

}  // namespace headrace
