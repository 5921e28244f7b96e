#include "batch/line_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace headrace::batch {
namespace {

constexpr size_t kPiece = 1 << 20;

}  // namespace

Result<std::optional<Line>> LineReader::Next() {
  Line line;
  line.offset = offset_;
  bool any = false;
  while (!line.complete) {
    if (at_ == buffer_.size()) {
      buffer_.resize(kPiece);
      at_ = 0;
      const ssize_t got = pread(fd_, buffer_.data(), buffer_.size(), static_cast<off_t>(offset_));
      const int error = errno;
      buffer_.resize(got > 0 ? static_cast<size_t>(got) : 0);
      if (got < 0 && error == EINTR) continue;
      if (got < 0) return Status(Code::kIo, std::string("cannot be read: ") + std::strerror(error));
      if (got == 0) break;
    }
    any = true;
    const size_t end = std::min(buffer_.find('\n', at_), buffer_.size());
    line.complete = end < buffer_.size();
    if (line.text.size() + (end - at_) > longest_) line.too_long = true;
    if (line.too_long) {
      std::string().swap(line.text);
    } else {
      line.text.append(buffer_, at_, end - at_);
    }
    offset_ += end - at_ + line.complete;
    at_ = end + line.complete;
  }
  if (!any) return std::optional<Line>();
  if (line.text.ends_with('\r')) line.text.pop_back();
  line.end = offset_;
  line.number = ++number_;
  return std::optional<Line>(std::move(line));
}

}  // namespace headrace::batch
