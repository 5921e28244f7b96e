#include "gguf/header_cursor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace headrace {
namespace {

constexpr uint64_t kBufferBytes = 256 << 10;

}  // namespace

std::string Printable(std::string_view text) {
  constexpr size_t kMaxBytes = 80;
  std::string printable(text.substr(0, kMaxBytes));
  for (char& c : printable) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  if (text.size() > kMaxBytes) printable += "...";
  return printable;
}

HeaderCursor::HeaderCursor(int fd, uint64_t file_bytes, std::string path)
    : fd_(fd), file_bytes_(file_bytes), path_(std::move(path)), buffer_(new unsigned char[kBufferBytes]) {}

bool HeaderCursor::Fail(Code code, std::string message) {
  status_ = Status(code, fmt::format("{}: {}", path_, message));
  next_ = end_;  // so that the fast path of Read fails too
  return false;
}

bool HeaderCursor::Truncated(uint64_t bytes) {
  return Fail(Code::kCorrupt,
              fmt::format("truncated or damaged: {} needs {} bytes at offset {}, but the file ends at {}. "
                          "The download is incomplete: fetch the file again.",
                          section_, bytes, position(), file_bytes_));
}

bool HeaderCursor::Fill(uint64_t bytes) {
  if (!status_.ok()) return false;
  if (bytes > remaining()) return Truncated(bytes);
  // Keep the few bytes not yet consumed, then read on behind them.
  std::memmove(buffer_.get(), buffer_.get() + next_, end_ - next_);
  buffer_offset_ += next_;
  end_ -= next_;
  next_ = 0;
  while (end_ < bytes) {
    const uint64_t offset = buffer_offset_ + end_;
    const uint64_t wanted = std::min(kBufferBytes - end_, file_bytes_ - offset);
    const ssize_t got = ::pread(fd_, buffer_.get() + end_, wanted, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      return Fail(Code::kIo, fmt::format("reading {} bytes at offset {} failed: {} (errno {}). Check the disk.", wanted,
                                         offset, std::strerror(error), error));
    }
    if (got == 0) {
      return Fail(Code::kChanged, fmt::format("became shorter while it was read: it had {} bytes, now no more "
                                              "than {}. Wait until it is complete.",
                                              file_bytes_, offset));
    }
    end_ += static_cast<uint64_t>(got);
    fetched_bytes_ += static_cast<uint64_t>(got);
  }
  if (fetched_bytes_ > kMaxHeaderBytes) {
    return Fail(Code::kCorrupt, fmt::format("damaged: {} has not ended after {} MiB. Fetch the file again.", section_,
                                            kMaxHeaderBytes >> 20));
  }
  return true;
}

bool HeaderCursor::ReadLength(uint64_t* value) {
  if (length_bytes_ == 8) return Read(value);
  uint32_t narrow = 0;
  if (!Read(&narrow)) return false;
  *value = narrow;
  return true;
}

bool HeaderCursor::ReadString(uint64_t max_bytes, std::string* text) {
  uint64_t length = 0;
  if (!ReadLength(&length)) return false;
  if (length > remaining()) return Truncated(length);
  const uint64_t kept = std::min(length, max_bytes);
  text->clear();
  while (text->size() < kept) {
    if (next_ == end_ && !Fill(1)) return false;
    const uint64_t piece = std::min(kept - text->size(), end_ - next_);
    text->append(reinterpret_cast<const char*>(buffer_.get() + next_), piece);
    next_ += piece;
  }
  return Skip(length - kept);
}

bool HeaderCursor::Skip(uint64_t bytes) {
  if (!status_.ok()) return false;
  if (bytes <= end_ - next_) {
    next_ += bytes;
    return true;
  }
  if (bytes > remaining()) return Truncated(bytes);
  buffer_offset_ = position() + bytes;
  next_ = end_ = 0;
  return true;
}

bool HeaderCursor::SkipStrings(uint64_t count) {
  if (!Expect(count, length_bytes_)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t length = 0;
    if (!ReadLength(&length) || !Skip(length)) return false;
  }
  return true;
}

bool HeaderCursor::Expect(uint64_t count, uint64_t item_bytes) {
  if (!status_.ok()) return false;
  if (count <= remaining() / item_bytes) return true;
  return Fail(Code::kCorrupt,
              fmt::format("truncated or damaged: {} claims {} items at offset {}, more than the file's {} bytes "
                          "can hold. The download is incomplete: fetch the file again.",
                          section_, count, position(), file_bytes_));
}

}  // namespace headrace
