// Runs a program to its end and keeps what it writes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "process/process_start.h"

namespace headrace::cli {

struct CaptureResult {
  int exit_status = 0;  // the program's, or 128 + signal
  int signal = 0;       // that ended the program, 0 when it exited
  std::string output;   // at most 4 MiB
  // Resident memory at its largest; where this process's own data are larger, its last moment may be missing.
  uint64_t peak_bytes = 0;
};

// Runs `program arguments` without input, with standard error merged into its output or dropped. It is killed after
// half a minute. Errors: those of StartProcess. Thread-safe; the program ends with the calling thread.
Result<CaptureResult> Capture(const std::string& program, const std::vector<std::string>& arguments, bool merge_stderr,
                              const Environment& environment = {});

}  // namespace headrace::cli
