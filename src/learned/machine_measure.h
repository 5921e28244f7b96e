// Short measurements of this machine.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "io/source_file.h"

namespace headrace::cli {

struct DiskSpeed {
  double bytes_per_s = 0;
  bool direct = false;     // O_DIRECT; false: through the page cache, whatever was asked for
  std::string reader;      // "uring" or "pread"
  uint64_t bytes = 0;      // that were read
  bool disturbed = false;  // by other programs: the disk is faster, or not much slower
};

struct DiskLimits {
  double seconds = 0.7;
  uint64_t bytes = 256 << 20;
};

// Reads the file as weights are streamed (stream/prefetcher.h: its reads, its thread, a ring of memory that was used
// before) in sequential runs, each starting at a random place. A small file is read again and again up to the limits.
// `progress` (may be empty) is called with a share from 0 to 1. Errors: those of SourceFile and the reader;
// kInvalidArgument for a file below one page.
Result<DiskSpeed> MeasureDisk(const std::string& path, SourceFile::Access access, const DiskLimits& limits,
                              const std::function<void(double)>& progress = {});

// Bytes per second that all processors together read from memory: what one-token kernels, which touch each
// weight once, can at most consume. About 0.1 s and 128 MiB.
double MeasureMemory();

}  // namespace headrace::cli
