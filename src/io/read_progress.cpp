#include "io/read_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/size.h"

namespace headrace {
namespace {

// A request that is interrupted this often in a row is taken for failed, so that nothing waits forever.
constexpr int kMaxInterruptions = 1000;

bool Interrupted(int error) { return error == EINTR || error == EAGAIN || error == ECANCELED; }

}  // namespace

Status CheckRequest(const ReadRequest& request) {
  const auto invalid = [&](const char* why) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{}: cannot read {} bytes at {}: {}",
                              request.file != nullptr ? request.file->path().c_str() : "no file", request.length,
                              request.offset, why));
  };
  if (request.file == nullptr) return invalid("no file was given");
  if (request.length == 0) return invalid("the length is zero");
  if (request.destination == nullptr) return invalid("no destination was given");
  if (request.offset % kReadAlignment != 0 || request.length % kReadAlignment != 0 ||
      reinterpret_cast<uintptr_t>(request.destination) % kReadAlignment != 0) {
    return invalid("offset, length and destination must be whole pages");
  }
  if (request.offset >= request.file->size()) return invalid("it begins beyond the end of the file");
  return Status();
}

bool ReadProgress::Advance(int64_t result) {
  if (result < 0) {
    const int error = static_cast<int>(-result);
    if (Interrupted(error) && ++interruptions_ <= kMaxInterruptions) return false;
    // Some file systems (FUSE, networks) allow O_DIRECT when a file is opened and refuse a read later.
    if (error == EINVAL && request_.file->LeaveDirect()) return false;
    return Fail(Status(Code::kIo, fmt::format("{}: cannot read {} bytes at {}: {}", request_.file->path(),
                                              request_.length, request_.offset, std::strerror(error))));
  }
  const uint64_t file_bytes = request_.file->size();
  const uint64_t wanted = std::min<uint64_t>(request_.length, file_bytes - request_.offset);
  const uint64_t arrived = done_ + static_cast<uint64_t>(result);
  if (arrived >= wanted) {
    status_ = Status();
    return true;
  }
  if (result == 0) {  // the file ends here, and trying again would not make it longer
    status_ = EndedEarly(request_.offset + done_);
    return true;
  }
  // Direct reads continue at whole pages only; a part of a page is read again.
  const auto whole = static_cast<uint32_t>(AlignDown(arrived, kReadAlignment));
  if (whole == done_) return Fail(EndedEarly(request_.offset + arrived));
  done_ = whole;
  interruptions_ = 0;
  return false;
}

bool ReadProgress::Fail(Status status) {
  if (++failures_ < Reader::kReadAttempts) {
    ++retries_;
    return false;
  }
  status_ = std::move(status);
  return true;
}

Status ReadProgress::EndedEarly(uint64_t end) const {
  return Status(Code::kIo,
                fmt::format("{}: cannot read {} bytes at {}: the file became shorter: it ends at {}, and had "
                            "{} bytes when it was opened",
                            request_.file->path(), request_.length, request_.offset, end, request_.file->size()));
}

}  // namespace headrace
