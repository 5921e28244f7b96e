// Reads a GGUF header from front to back. Nothing that the file claims is believed: a length is compared
// with the bytes that the file still has before anything is allocated or skipped.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace headrace {

// A text from a file, fit for a message: control characters as '?', cut after 80 bytes.
std::string Printable(std::string_view text);

// A buffered forward reader. Every Read and Skip returns false once something failed, and status() then
// says what: kCorrupt (the file ends first, the header is absurdly large), kIo, kChanged (the file is
// shorter than it was). Not thread-safe.
class HeaderCursor {
 public:
  // What a header may have at most: 16 times the largest one seen (vocabulary and merges of 256k tokens).
  static constexpr uint64_t kMaxHeaderBytes = uint64_t{256} << 20;

  // Borrows fd, which must stay open; file_bytes is its size and path only names it in messages.
  HeaderCursor(int fd, uint64_t file_bytes, std::string path);

  const std::string& path() const { return path_; }
  uint64_t file_bytes() const { return file_bytes_; }
  uint64_t position() const { return buffer_offset_ + next_; }
  uint64_t remaining() const { return file_bytes_ - position(); }
  const Status& status() const { return status_; }

  // Names what is being read, for messages: "the metadata". A literal.
  void Enter(const char* section) { section_ = section; }
  // GGUF version 1 has lengths, counts and dimensions of 4 bytes; later ones have 8.
  void SetLengthBytes(uint32_t bytes) { length_bytes_ = bytes; }
  uint32_t length_bytes() const { return length_bytes_; }

  // A little-endian number.
  template <typename T>
  [[nodiscard]] bool Read(T* value) {
    static_assert(std::endian::native == std::endian::little && sizeof(T) <= 8);
    if (end_ - next_ < sizeof(T) && !Fill(sizeof(T))) return false;
    std::memcpy(value, buffer_.get() + next_, sizeof(T));
    next_ += sizeof(T);
    return true;
  }
  // A length, count or dimension in the width of the file's version.
  [[nodiscard]] bool ReadLength(uint64_t* value);
  // A string; the part after max_bytes is skipped.
  [[nodiscard]] bool ReadString(uint64_t max_bytes, std::string* text);
  // Passes over bytes, without reading what does not lie in the buffer.
  [[nodiscard]] bool Skip(uint64_t bytes);
  // Passes over count strings.
  [[nodiscard]] bool SkipStrings(uint64_t count);
  // True when count items of at least item_bytes each can follow.
  [[nodiscard]] bool Expect(uint64_t count, uint64_t item_bytes);

 private:
  bool Fill(uint64_t bytes);  // makes `bytes` (at most 8) available at next_
  bool Truncated(uint64_t bytes);
  bool Fail(Code code, std::string message);

  const int fd_;
  const uint64_t file_bytes_;
  const std::string path_;
  const std::unique_ptr<unsigned char[]> buffer_;
  uint64_t buffer_offset_ = 0;  // in the file
  uint64_t next_ = 0;           // in the buffer
  uint64_t end_ = 0;            // of what is in the buffer
  uint64_t fetched_bytes_ = 0;
  uint32_t length_bytes_ = 8;
  const char* section_ = "the header";
  Status status_;
};

}  // namespace headrace
