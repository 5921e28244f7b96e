// A reader that goes wrong on purpose, for tests: of this folder's contract, and of everything above it
// up to the preloaded library in a real engine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "io/reader.h"

namespace headrace {

// Which reads go wrong, and how. A read is one operation on the disk: a request that is tried again or
// continued after a short read consists of several. A fault hits the reads that overlap the range, but for
// the first `after` of these, and only `times` of them.
struct FaultSpec {
  uint64_t begin = 0;  // the range, in bytes of any file
  uint64_t end = UINT64_MAX;
  uint64_t after = 0;
  uint64_t times = UINT64_MAX;

  std::string path;          // only reads of files whose path holds this
  bool direct = false;       // only reads of files that are read directly
  int error = 0;             // the errno they fail with; 0: they do not
  bool truncated = false;    // they return nothing, as if the file ended before them
  uint32_t short_bytes = 0;  // if above 0, they return at most this many bytes
  uint32_t delay_us = 0;     // the results of their requests come this much later than they would
  // Every result, also of the reads that are not hit:
  bool reorder = false;  // comes when no read is in flight, the last submitted first

  friend bool operator==(const FaultSpec&, const FaultSpec&) = default;
};

// "after=100,errno=EIO", "range=4096-8192,times=2,errno=5", "short=8K", "truncated=1", "delay_us=500,reorder=1",
// "direct=1,errno=EINVAL", "path=/mnt/b,after=9": any order, sizes as ParseSize takes them, the end of a range
// exclusive. Where neither errno, truncated, short, delay_us nor reorder is given, errno is EIO. Errors:
// kInvalidArgument naming what is not understood.
Result<FaultSpec> ParseFaultSpec(std::string_view text);

// Reads with `base`, which has nothing in flight. Errors are injected under the rules for trying again, as
// if the disk had made them.
std::unique_ptr<Reader> MakeFaultyReader(std::unique_ptr<Reader> base, const FaultSpec& spec);

}  // namespace headrace
