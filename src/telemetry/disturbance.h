// What other programs took from this process while it worked: processors that its threads waited for, and the disk
// while it moved bytes of others. What was measured meanwhile says little about the machine.
#pragma once

#include <cstdint>
#include <map>

namespace headrace {

// A share of the time that is more than that makes a measurement worthless.
inline constexpr double kMostDisturbed = 0.1;

// What reads and writes that disk for this process.
struct OwnDisk {
  uint64_t device = 0;     // st_dev of a file on it
  double bytes_per_s = 0;  // its speed; 0: not known, then it is not looked at
  uint64_t bytes = 0;      // that this process has moved since it began, at least
};

// One thread at a time.
class Disturbance {
 public:
  // Nanoseconds since the last call: as long as that one of the process's threads waited for a processor that waited
  // longest, if others ran so long (more threads than processors, or a quota, is no disturbance), and as the disk takes
  // for the bytes of others. 0 the first time, and for what the system does not tell. It costs some microseconds for
  // each thread of the process.
  uint64_t Take(const OwnDisk& disk);

 private:
  uint64_t TakeThreads();
  uint64_t TakeProcessors();
  uint64_t TakeDisk(const OwnDisk& disk);

  std::map<uint64_t, uint64_t> waited_ns_;  // by thread
  uint64_t others_ran_ns_ = 0;
  bool threads_known_ = false;
  uint64_t device_ = 0, moved_bytes_ = 0, own_bytes_ = 0;
};

}  // namespace headrace
