// Reads byte ranges of files into memory, many at a time. One contract, several implementations:
// io_uring for speed, a few threads with pread as the reference and fallback, and a decorator that
// injects faults for tests.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/source_file.h"

namespace headrace {

// offset, length and destination are multiples of kPageBytes; offset < file size. The part of the last
// page that lies beyond the end of the file is left undefined. `file` and `destination` must stay valid
// until the request's result was returned.
struct ReadRequest {
  const SourceFile* file = nullptr;
  uint64_t offset = 0;
  uint32_t length = 0;
  void* destination = nullptr;
  uint64_t tag = 0;  // the caller's, returned with the result
};

struct ReadResult {
  uint64_t tag = 0;
  Status status;  // kIo with path, offset, length and the system's reason; the destination is then undefined
};

// Not thread-safe: one thread owns a Reader. The destructor waits for requests in flight.
// Short reads, EINTR and EAGAIN are continued; other errors of one request are retried kReadAttempts
// times before they are reported. After buffered reads the page cache behind them is dropped.
class Reader {
 public:
  static constexpr int kReadAttempts = 3;

  virtual ~Reader() = default;
  virtual std::string_view name() const = 0;
  // The most requests that may be in flight.
  virtual unsigned depth() const = 0;
  virtual unsigned in_flight() const = 0;
  // Number of retried requests since creation.
  virtual uint64_t retries() const = 0;
  // Starts the requests; never blocks on the disk. Needs in_flight() + requests.size() <= depth().
  // A failure to start one is reported as its result, not here.
  virtual void Submit(std::span<const ReadRequest> requests) = 0;
  // Appends finished requests to `results`, in any order. Blocks until at least one has finished when
  // `block` is set and some are in flight.
  virtual void Collect(bool block, std::vector<ReadResult>& results) = 0;
};

enum class ReaderKind { kAuto, kUring, kPread };

// kAuto: io_uring, or pread threads where the kernel or a sandbox refuses io_uring (name() says which).
// Errors: kUnsupported for kUring where io_uring is refused, kIo when no thread can be started.
Result<std::unique_ptr<Reader>> MakeReader(ReaderKind kind, unsigned depth);

}  // namespace headrace
