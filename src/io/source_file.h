// A file whose bytes are streamed: what it was when it was opened, and how it is read.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/status.h"

namespace headrace {

class MirrorCopy;

// Two names of one file have one identity.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// Move-only; const operations are thread-safe. Shared where it streams, so that a read of a drive that does not answer
// can keep it.
class SourceFile : public std::enable_shared_from_this<SourceFile> {
 public:
  enum class Access {
    kDirect,    // O_DIRECT where the file system can, else buffered
    kBuffered,  // through the page cache, which is dropped behind the reader
  };

  // Opens a regular file read-only; never waits for the other end of a FIFO. Errors: kNotFound,
  // kPermission, kInvalidArgument (not a regular file), kIo; each names the path, or `name`, which path() then is, too.
  static Result<SourceFile> Open(const std::string& path, Access access = Access::kDirect,
                                 const std::string& name = "");

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  FileIdentity identity() const { return identity_; }
  // False when reads go through the page cache: because asked for, because O_DIRECT was refused, or
  // because the file lies in memory (tmpfs) anyway.
  bool direct() const { return std::atomic_ref(direct_).load(std::memory_order_relaxed); }
  // From now on reads go through the page cache, and a line says so: the file system has refused a direct read after
  // all. False: they did already.
  bool LeaveDirect() const;

  // Copies of it on other drives (io/mirror_copy.h), set before the file is shared.
  const std::vector<std::shared_ptr<const MirrorCopy>>& copies() const { return copies_; }
  void SetCopies(std::vector<std::shared_ptr<const MirrorCopy>> copies) { copies_ = std::move(copies); }

  // kChanged when size or modification time are not those of Open. A file that was deleted or renamed
  // stays readable through the descriptor and counts as unchanged.
  Status CheckUnchanged() const;

  // Tells models apart by their content, whatever the files are called: from the size and 16 samples (256 KiB), which
  // are read. Errors: kIo.
  Result<uint64_t> Fingerprint() const;

  // Lets the kernel forget the cached pages of a range; pages that somebody has mapped stay.
  void DropCache(uint64_t offset, uint64_t length) const;

 private:
  Descriptor fd_;
  std::string path_;
  uint64_t size_ = 0;
  FileIdentity identity_;
  timespec modified_{};
  mutable bool direct_ = false;                            // atomic
  std::vector<std::shared_ptr<const MirrorCopy>> copies_;  // shared: incomplete here
};

}  // namespace headrace
