// Memory of a KV cache that lives in a file: an ordinary shared mapping for the engine, of which any part can be
// written out, dropped and read again.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/descriptor.h"
#include "base/status.h"
#include "kv/page_ranges.h"

namespace headrace {

// The file has no name: it is gone when the process ends, however it ends. All its blocks are reserved before the
// mapping is made, so that a disk which fills up later cannot end the process (a page without a block is a
// SIGBUS). The mapping does not exist in a forked child, which would otherwise write into its parent's cache.
//
// Move-only; data() stays valid when it moves. Thread-safe but for moves: the kernel keeps mapping and file
// coherent, whoever touches, drops or reads what.
class KvFile {
 public:
  // What can be said about a folder before it is used. Errors: kNotFound, kPermission, kInvalidArgument (no
  // folder), kUnsupported (its file system lies in memory).
  static Status CheckFolder(const std::string& folder);

  // A file of `bytes`, rounded up to whole pages, that reads as zeros. Errors: CheckFolder's; kOutOfBudget when
  // the disk, a quota or a limit of the process leaves too little room, kUnsupported when the file system cannot
  // reserve blocks, kIo.
  static Result<KvFile> Create(const std::string& folder, uint64_t bytes);

  KvFile(KvFile&& other) noexcept;
  KvFile& operator=(KvFile&&) = delete;
  ~KvFile();

  std::byte* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  const std::string& folder() const { return folder_; }
  bool Holds(const void* address) const;

  // Sets every byte. With zero nothing is written and memory is given back, where the file system can do it.
  Status Fill(uint8_t value);

  // Begins to read the range, and returns.
  void ReadAhead(const PageRange& range) const;
  // Returns when the range is in memory and mapped. Errors: kIo.
  Status Load(const PageRange& range) const;
  // Writes out what was changed of the range and gives its memory back. Errors: kIo.
  Status Evict(const PageRange& range) const;
  // Whether all that was written back by now, also by the kernel on its own, reached the disk. Errors: kIo.
  Status CheckWritten() const;

  // Bytes of the file that are in memory, mapped or not.
  uint64_t CachedBytes() const;

 private:
  KvFile() = default;

  std::string folder_;
  Descriptor fd_;
  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
  pid_t owner_ = 0;  // the process that mapped it
};

}  // namespace headrace
