// For the tests of this folder: files of known content on a real file system, and memory to read into.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/descriptor.h"
#include "base/size.h"

namespace headrace {

// A directory that is removed with its content. Under the working directory by default, because /tmp is
// often a tmpfs, which has no direct reads.
class TestDirectory {
 public:
  explicit TestDirectory(const std::string& parent = std::filesystem::current_path()) {
    std::string name = parent + "/io-test-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
    EXPECT_FALSE(path_.empty()) << parent << ": " << std::strerror(errno);
  }
  ~TestDirectory() {
    if (!path_.empty()) std::filesystem::remove_all(path_);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::byte ByteAt(uint64_t offset) {
  uint64_t x = (offset / 8 + 1) * 0x9e3779b97f4a7c15;
  x ^= x >> 29;
  return static_cast<std::byte>(x >> (offset % 8 * 8));
}

// Writes a file whose byte i is ByteAt(i), to the disk and out of the page cache.
inline void WriteTestFile(const std::string& path, uint64_t bytes) {
  std::string content(bytes, '\0');
  for (uint64_t i = 0; i < bytes; ++i) content[i] = static_cast<char>(ByteAt(i));
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  ASSERT_TRUE(fd.valid()) << path << ": " << std::strerror(errno);
  ASSERT_EQ(::write(fd.get(), content.data(), bytes), static_cast<ssize_t>(bytes));
  ASSERT_EQ(::fsync(fd.get()), 0);
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
}

// The first byte of [offset, offset + bytes) of such a file that differs from `data`, or -1.
inline int64_t FirstDifference(const std::byte* data, uint64_t offset, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes; ++i) {
    if (data[i] != ByteAt(offset + i)) return static_cast<int64_t>(offset + i);
  }
  return -1;
}

// Page-aligned memory.
class TestMemory {
 public:
  explicit TestMemory(uint64_t bytes, int protection = PROT_READ | PROT_WRITE)
      : bytes_(bytes), data_(::mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    EXPECT_NE(data_, MAP_FAILED);
  }
  TestMemory(const TestMemory&) = delete;
  TestMemory& operator=(const TestMemory&) = delete;
  ~TestMemory() { ::munmap(data_, bytes_); }
  std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  uint64_t bytes_;
  void* data_;
};

}  // namespace headrace
