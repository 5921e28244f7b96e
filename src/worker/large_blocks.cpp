#include "worker/large_blocks.h"

#include <algorithm>

#include "worker/worker_limits.h"

namespace headrace {

bool LargeBlocks::Take(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > memory_.all_bytes()) return false;
  const uint64_t beyond = std::max(bytes_ + bytes, kMessageBytes) - kMessageBytes;
  if (beyond > charged_) {
    if (!memory_.Take(account_, beyond - charged_)) return false;
    charged_ = beyond;
  }
  bytes_ += bytes;
  return true;
}

void LargeBlocks::Keep(const void* block, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  blocks_[block] = bytes;
}

void LargeBlocks::GiveBack(const void* block) {
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return;
  bytes_ -= found->second;
  blocks_.erase(found);
  const uint64_t beyond = std::max(bytes_, kMessageBytes) - kMessageBytes;
  if (beyond < charged_) memory_.GiveBack(account_, charged_ - beyond);
  charged_ = beyond;
}

uint64_t LargeBlocks::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace headrace
