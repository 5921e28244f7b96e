// The memory of the processes that a command has started.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace headrace::cli {

// The largest sum of anonymous memory, shared memory and file pages without those of models (*.gguf) that a child of
// `command` has now: what the kernel cannot drop without swapping, and code. In bytes; 0 without children.
uint64_t MemoryOfChildren(pid_t command);
// The same, of memory that was swapped out.
uint64_t SwappedOfChildren(pid_t command);

// The largest of either, sampled until Finish.
class PeakOfChildren {
 public:
  explicit PeakOfChildren(pid_t command);
  uint64_t Finish();

 private:
  std::atomic<bool> done_{false};
  uint64_t peak_ = 0;
  std::thread sampler_;  // last: it uses the others
};

}  // namespace headrace::cli
