// Large blocks of memory that a client's process takes beside its buffers: messages that arrive, answers, what kernels
// work in. The first kMessageBytes of them were charged when the client came; what is beyond is charged before it is
// allocated, so that all clients together stay within the worker's budget.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/size.h"
#include "worker/client_memory.h"

namespace headrace {

// Thread-safe.
class LargeBlocks {
 public:
  // Smaller ones are not counted: they have kSmallBytes.
  static constexpr uint64_t kLarge = kMiB;

  // `memory` outlives it.
  LargeBlocks(ClientMemory& memory, int account) : memory_(memory), account_(account) {}

  // Before a block is allocated. False: it does not fit, and nothing is charged.
  bool Take(uint64_t bytes);
  // Its address, to be named when it is freed.
  void Keep(const void* block, uint64_t bytes);
  // Others than those that were kept are passed over.
  void GiveBack(const void* block);

  // Of all blocks now.
  uint64_t bytes() const;

 private:
  ClientMemory& memory_;
  const int account_;
  mutable std::mutex mutex_;
  uint64_t bytes_ = 0, charged_ = 0;
  std::unordered_map<const void*, uint64_t> blocks_;
};

// From now on the process's operator new counts in `blocks`. What does not fit, or what the system does not have, ends
// in `refuse`, which does not return. `changed` is called after each change. All of them outlive the process's threads.
void CountLargeBlocks(LargeBlocks& blocks, void (*changed)(), void (*refuse)(uint64_t bytes));

}  // namespace headrace
