#include "mirror/file_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/size.h"
#include "base/standard_streams.h"
#include "io/mirror_copy.h"

namespace headrace::cli {
namespace {

constexpr uint64_t kPieceBytes = 4 * kMiB;
constexpr const char* kUnfinished = ".copying";

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

Status WriteCopy(const SourceFile& original, int fd, const std::string& path, uint64_t share, const OnBytes& on_bytes) {
  if (share != Stripes::kWhole) {
    const auto fingerprint = original.Fingerprint();
    if (!fingerprint.ok()) return fingerprint.status();
    PartialHeader header;
    header.file_bytes = original.size();
    header.fingerprint = *fingerprint;
    header.share = share;
    const std::string page = header.ToPage();
    if ((errno = WriteAll(fd, page)) != 0) return Failed(path, "write");
  }
  const auto buffer = std::make_unique<Piece>();
  const auto copy = [&](uint64_t offset, uint64_t bytes) -> Status {
    HEADRACE_RETURN_IF_ERROR(ReadPiece(original, offset, bytes, *buffer));
    if ((errno = WriteAll(fd, {buffer->bytes, bytes})) != 0) return Failed(path, "write");
    // So that progress is that of the disk, and the page cache stays small.
    if (::fdatasync(fd) != 0) return Failed(path, "write");
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return on_bytes(bytes) ? Status() : Stopped();
  };
  HEADRACE_RETURN_IF_ERROR(ForEachPiece(original, StripesOf(original, share), copy));
  HEADRACE_RETURN_IF_ERROR(original.CheckUnchanged());
  return ::fsync(fd) == 0 ? Status() : Failed(path, "write");
}

}  // namespace

std::string CopyPath(const std::string& folder, const SourceFile& original, uint64_t share) {
  const std::string name = std::filesystem::path(original.path()).filename().string();
  return (std::filesystem::path(folder) / (share == Stripes::kWhole ? name : name + PartialHeader::kSuffix)).string();
}

uint64_t CopyBytes(const SourceFile& original, uint64_t share) {
  return share == Stripes::kWhole ? original.size() : kReadAlignment + StripesOf(original, share).bytes();
}

Status CopyFile(const SourceFile& original, const std::string& path, uint64_t share, const OnBytes& on_bytes) {
  const std::string unfinished = path + kUnfinished;
  ::unlink(unfinished.c_str());  // of a command that was killed
  const Descriptor fd(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd.valid()) return Failed(unfinished, "create");
  Status status = WriteCopy(original, fd.get(), unfinished, share, on_bytes);
  if (status.ok() && ::rename(unfinished.c_str(), path.c_str()) != 0) status = Failed(path, "create");
  if (!status.ok()) ::unlink(unfinished.c_str());
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
