// What limits a process that streams, and what would help. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "report/statistics.h"
#include "top/rates.h"

namespace headrace::top {

// Zero: unknown.
struct Machine {
  double disk_bytes_per_s = 0;    // as probed
  double memory_bytes_per_s = 0;  // what all processors together read
  uint64_t available_bytes = 0;   // memory that is free
};

enum class Limit {
  kPassive,  // nothing streams
  kLoading,  // the resident weights are on their way
  kIdle,     // no pass runs
  kDisk,     // passes wait for the disk
  kMemory,   // the disk keeps up; kernels consume weights as fast as memory delivers them
  kCompute,  // the disk keeps up
};
const char* ToString(Limit limit);

struct Verdict {
  Limit limit = Limit::kIdle;
  std::string advice;  // one line, "" when there is none
};

Verdict Judge(const cli::Statistics& statistics, const Rates& rates, const Machine& machine);

// How many times as fast passes would be with `more_bytes` for weights: what is streamed shrinks, down to the time that
// computing takes.
double SpeedUp(const cli::Statistics& statistics, const Rates& rates, uint64_t more_bytes);

}  // namespace headrace::top
