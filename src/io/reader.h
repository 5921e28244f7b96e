// Reads byte ranges of files into memory, many at a time. One contract, several implementations:
// io_uring for speed, a few threads with pread as the reference and fallback, and a decorator that
// injects faults for tests.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/source_file.h"

namespace headrace {

// offset, length and destination are multiples of kReadAlignment; length > 0; offset < file size. The part
// that lies beyond the end of the file is left undefined. `file` and `destination` must stay valid until
// the request's result was returned, or the reader destroyed.
struct ReadRequest {
  const SourceFile* file = nullptr;
  uint64_t offset = 0;
  uint32_t length = 0;
  void* destination = nullptr;
  uint64_t tag = 0;  // the caller's, returned with the result
};

struct ReadResult {
  uint64_t tag = 0;
  // kIo with path, offset, length and the system's reason, also when the file ends earlier than when it
  // was opened; kInvalidArgument for a request that breaks the rules above. The destination is then
  // undefined.
  Status status;
};

// How long to wait for a read that ends.
using Patience = std::chrono::nanoseconds;
inline constexpr Patience kNoWait = Patience::zero();
inline constexpr Patience kForEver = Patience::max();

// Not thread-safe: one thread at a time owns a Reader. Preferably a thread of headrace's own: in the one
// that submits, completions of io_uring interrupt system calls such as epoll_wait.
// The destructor waits for requests in flight; requests that were not begun are dropped.
// Short reads, EINTR and EAGAIN are continued; other errors of one request are reported when it failed
// kReadAttempts times. After buffered reads the page cache behind them is dropped.
// In a forked child every request fails, and the destructor leaves the parent's requests alone.
class Reader {
 public:
  static constexpr int kReadAttempts = 3;

  virtual ~Reader() = default;
  virtual std::string_view name() const = 0;
  // The most requests that may be in flight.
  virtual unsigned depth() const = 0;
  virtual unsigned in_flight() const = 0;
  // Of the requests in flight, how many the system is asked for at once.
  virtual unsigned at_once() const { return depth(); }
  // The drives that are read from at once, as far as the reader tells them apart.
  virtual unsigned drives() const { return 1; }
  // How often a read was tried again since creation, counted when its request finishes.
  virtual uint64_t retries() const = 0;
  // Starts the requests; never blocks on the disk. Needs in_flight() + requests.size() <= depth(): those
  // beyond it fail. A failure to start one is reported as its result, not here.
  virtual void Submit(std::span<const ReadRequest> requests) = 0;
  // Appends finished requests to `results`, in any order. While some are in flight and none has finished it waits, at
  // most so long.
  virtual void CollectFor(Patience patience, std::vector<ReadResult>& results) = 0;
  void Collect(bool block, std::vector<ReadResult>& results) { CollectFor(block ? kForEver : kNoWait, results); }
};

inline constexpr unsigned kMaxReaderDepth = 1024;

enum class ReaderKind { kAuto, kUring, kPread };

// `depth` is 1 to kMaxReaderDepth.
// kAuto: io_uring, or pread threads where the kernel or a sandbox refuses io_uring (name() says which).
// Errors: kInvalidArgument for the depth, kUnsupported for kUring where io_uring is refused, kIo when no
// thread can be started.
Result<std::unique_ptr<Reader>> MakeReader(ReaderKind kind, unsigned depth);

}  // namespace headrace
