// Reading and nothing else: how fast byte ranges of a file arrive in memory at a given chunk size and queue
// depth. The yardstick for streaming.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/status.h"
#include "io/reader.h"
#include "io/source_file.h"

namespace headrace::bench {

struct ByteRange {
  uint64_t offset = 0;
  uint64_t length = 0;
};

struct ReadShape {
  uint32_t chunk_bytes = 0;  // multiple of kReadAlignment
  unsigned depth = 0;        // requests in flight
  friend auto operator<=>(const ReadShape&, const ReadShape&) = default;
};

struct ReadRate {
  ReadShape shape;
  uint64_t bytes = 0;
  double seconds = 0;
  uint64_t retries = 0;
  double bytes_per_s() const { return seconds > 0 ? static_cast<double>(bytes) / seconds : 0; }
};

// Reads the ranges over and over. Not thread-safe. The file must outlive it.
class RawReader {
 public:
  // Ranges are widened to whole pages. Errors: kInvalidArgument for no ranges, or one outside the file.
  static Result<RawReader> Make(const SourceFile& file, std::vector<ByteRange> ranges, ReaderKind kind);

  // Reads for about `seconds`, going on where the previous call stopped. Errors: those of the Reader.
  Result<ReadRate> Run(ReadShape shape, double seconds);

  uint64_t bytes_per_round() const { return round_bytes_; }

 private:
  RawReader(const SourceFile& file, std::vector<ByteRange> ranges, ReaderKind kind);
  ReadRequest NextRequest(uint32_t chunk_bytes);

  const SourceFile* file_;
  std::vector<ByteRange> ranges_;
  ReaderKind kind_;
  uint64_t round_bytes_ = 0;
  size_t range_ = 0;  // next read: ranges_[range_], this far into it
  uint64_t position_ = 0;
};

// The shapes worth trying: from few large requests to many small ones, at most 128 MiB in flight.
std::vector<ReadShape> SweptShapes();

// The fastest of the shapes (duplicates are tried once), which must not be empty. Each is read for `seconds`; the
// best few are read again in turn, because a shared disk's speed changes while one sweeps. `tried` is called
// with every measurement.
Result<ReadShape> Sweep(RawReader& raw, std::vector<ReadShape> shapes, double seconds,
                        const std::function<void(const ReadRate&)>& tried);

}  // namespace headrace::bench
