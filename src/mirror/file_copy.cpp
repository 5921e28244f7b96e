#include "mirror/file_copy.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/size.h"
#include "base/standard_streams.h"
#include "io/mirror_copy.h"

namespace headrace::cli {
namespace {

constexpr uint64_t kPieceBytes = 4 * kMiB;

struct alignas(kReadAlignment) Piece {
  char bytes[kPieceBytes];
};

Status Failed(const std::string& path, const char* action) {
  const Code code = errno == EACCES || errno == EPERM || errno == EROFS ? Code::kPermission : Code::kIo;
  return Status(code, fmt::format("{}: cannot {}: {}", path, action, std::strerror(errno)));
}

Status Stopped() { return Status(Code::kCancelled, "stopped"); }

// As much as is wanted; whole pages are asked for, which direct reads need.
Status ReadPiece(const SourceFile& file, uint64_t offset, uint64_t bytes, Piece& piece) {
  for (uint64_t got = 0; got < bytes;) {
    const ssize_t result =
        ::pread(file.fd(), piece.bytes + got, AlignUp(bytes - got, kReadAlignment), static_cast<off_t>(offset + got));
    if (result < 0 && errno == EINTR) continue;
    if (result < 0) return Failed(file.path(), "read");
    const auto whole = static_cast<uint64_t>(result);
    if (got + whole < bytes && whole < kReadAlignment) {
      return Status(Code::kIo, fmt::format("{}: ends at byte {}", file.path(), offset + got + whole));
    }
    got += got + whole < bytes ? AlignDown(whole, kReadAlignment) : whole;
  }
  if (!file.direct()) file.DropCache(offset, bytes);
  return {};
}

// Calls `piece` for each run of bytes that the stripes hold, in pieces.
Status ForEachPiece(const SourceFile& original, const Stripes& stripes,
                    const std::function<Status(uint64_t offset, uint64_t bytes)>& piece) {
  for (uint64_t at = 0; at < original.size();) {
    const uint64_t end = std::min(stripes.RunEnd(at), original.size());
    const uint64_t stop = stripes.Holds(at) ? std::min(end, at + kPieceBytes) : end;
    if (stripes.Holds(at)) HEADRACE_RETURN_IF_ERROR(piece(at, stop - at));
    at = stop;
  }
  return {};
}

Stripes StripesOf(const SourceFile& original, uint64_t share) {
  return share == Stripes::kWhole ? Stripes() : Stripes(original.size(), share);
}

// Whether the file has these bytes there.
bool Has(int fd, uint64_t at, const char* bytes, uint64_t count, Piece& scratch) {
  for (uint64_t got = 0; got < count;) {
    const ssize_t result = ::pread(fd, scratch.bytes + got, count - got, static_cast<off_t>(at + got));
    if (result < 0 && errno == EINTR) continue;
    if (result <= 0) return false;
    got += static_cast<uint64_t>(result);
  }
  return std::memcmp(scratch.bytes, bytes, count) == 0;
}

// An unfinished copy: what is appended, after what is there already and right.
class Unfinished {
 public:
  Unfinished(int fd, const std::string& path) : fd_(fd), path_(path), scratch_(std::make_unique<Piece>()) {}

  // True: they were there.
  Result<bool> Append(const char* bytes, uint64_t count) {
    if (there_ && Has(fd_, at_, bytes, count, *scratch_)) {
      at_ += count;
      Forget();
      return true;
    }
    if (std::exchange(there_, false)) {
      const auto end = static_cast<off_t>(at_);
      if (::ftruncate(fd_, end) != 0 || ::lseek(fd_, end, SEEK_SET) != end) return Failed(path_, "write");
    }
    if ((errno = WriteAll(fd_, {bytes, count})) != 0) return Failed(path_, "write");
    // So that progress is that of the disk, and the page cache stays small.
    if (::fdatasync(fd_) != 0) return Failed(path_, "write");
    Forget();
    return false;
  }
  // What is behind the last bytes does not belong to it.
  Status End() {
    if (there_ && ::ftruncate(fd_, static_cast<off_t>(at_)) != 0) return Failed(path_, "write");
    return ::fsync(fd_) == 0 ? Status() : Failed(path_, "write");
  }

 private:
  void Forget() { ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED); }

  const int fd_;
  const std::string& path_;
  const std::unique_ptr<Piece> scratch_;
  bool there_ = true;
  uint64_t at_ = 0;  // while there_
};

Status WriteCopy(const SourceFile& original, int fd, const std::string& path, uint64_t share, const OnBytes& on_there,
                 const OnBytes& on_bytes) {
  Unfinished copy(fd, path);
  if (share != Stripes::kWhole) {
    const auto fingerprint = original.Fingerprint();
    if (!fingerprint.ok()) return fingerprint.status();
    PartialHeader header;
    header.file_bytes = original.size();
    header.fingerprint = *fingerprint;
    header.share = share;
    const std::string page = header.ToPage();
    const auto there = copy.Append(page.data(), page.size());
    if (!there.ok()) return there.status();
  }
  const auto buffer = std::make_unique<Piece>();
  const auto append = [&](uint64_t offset, uint64_t bytes) -> Status {
    HEADRACE_RETURN_IF_ERROR(ReadPiece(original, offset, bytes, *buffer));
    const auto there = copy.Append(buffer->bytes, bytes);
    if (!there.ok()) return there.status();
    return (*there ? on_there : on_bytes)(bytes) ? Status() : Stopped();
  };
  HEADRACE_RETURN_IF_ERROR(ForEachPiece(original, StripesOf(original, share), append));
  HEADRACE_RETURN_IF_ERROR(original.CheckUnchanged());
  return copy.End();
}

}  // namespace

std::string CopyPath(const std::string& folder, const SourceFile& original, uint64_t share) {
  const std::string name = std::filesystem::path(original.path()).filename().string();
  return (std::filesystem::path(folder) / (share == Stripes::kWhole ? name : name + PartialHeader::kSuffix)).string();
}

uint64_t CopyBytes(const SourceFile& original, uint64_t share) {
  return share == Stripes::kWhole ? original.size() : kReadAlignment + StripesOf(original, share).bytes();
}

uint64_t UnfinishedBytes(const std::string& path) {
  struct stat info {};
  return ::stat((path + kUnfinishedCopy).c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

Status CopyFile(const SourceFile& original, const std::string& path, uint64_t share, const OnBytes& on_there,
                const OnBytes& on_bytes) {
  const std::string unfinished = path + kUnfinishedCopy;
  const Descriptor fd(::open(unfinished.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd.valid()) return Failed(unfinished, "create");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return Status(Code::kInvalidArgument, unfinished + ": another headrace mirror makes this copy now");
  }
  Status status = WriteCopy(original, fd.get(), unfinished, share, on_there, on_bytes);
  if (status.ok() && ::rename(unfinished.c_str(), path.c_str()) != 0) status = Failed(path, "create");
  if (status.code() == Code::kChanged) ::unlink(unfinished.c_str());
  return status;
}

Status CompareCopy(const SourceFile& original, const std::string& path, const OnBytes& on_bytes) {
  const auto copy = MirrorCopy::Open(original, path, SourceFile::Access::kDirect);
  if (!copy.ok()) return copy.status();
  const auto ours = std::make_unique<Piece>(), theirs = std::make_unique<Piece>();
  const auto compare = [&](uint64_t offset, uint64_t bytes) -> Status {
    HEADRACE_RETURN_IF_ERROR(ReadPiece(original, offset, bytes, *ours));
    HEADRACE_RETURN_IF_ERROR(ReadPiece((*copy)->file(), (*copy)->Position(offset), bytes, *theirs));
    const auto [differs, other] = std::mismatch(ours->bytes, ours->bytes + bytes, theirs->bytes);
    if (differs != ours->bytes + bytes) {
      return Status(Code::kCorrupt,
                    fmt::format("{} differs from {} at byte {}; remove it and copy again", path, original.path(),
                                offset + static_cast<uint64_t>(differs - ours->bytes)));
    }
    return on_bytes(bytes) ? Status() : Stopped();
  };
  return ForEachPiece(original, (*copy)->stripes(), compare);
}

}  // namespace headrace::cli
