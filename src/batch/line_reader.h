// Lines of a file of any size, one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"

namespace headrace::batch {

// Longer lines are counted, not kept.
inline constexpr uint64_t kLongestLine = 64 << 20;

struct Line {
  uint64_t number = 0;  // from 1
  uint64_t offset = 0;  // of its first byte
  uint64_t end = 0;     // of the next line's
  std::string text;     // without the line break, "\r\n" included; "" when it is too long
  bool too_long = false;
  bool complete = false;  // a line break ended it, not the end of the file
};

class LineReader {
 public:
  // Reads `fd` from its start with pread; it stays the caller's.
  explicit LineReader(int fd, uint64_t longest = kLongestLine) : fd_(fd), longest_(longest) {}

  // Nullopt at the end. Errors: kIo.
  Result<std::optional<Line>> Next();

 private:
  const int fd_;
  const uint64_t longest_;
  uint64_t number_ = 0, offset_ = 0;  // of the next line
  std::string buffer_;                // what was read ahead
  size_t at_ = 0;                     // used of it
};

}  // namespace headrace::batch
