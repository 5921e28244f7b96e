// How many bytes weights may use now: what the limit on the whole process leaves beside everything else in it, and no
// more than what the machine and its control groups have at present.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/text_file.h"
#include "memory/pressure.h"
#include "memory/process_memory.h"

namespace headrace {

// Everything but the weights of streaming models is the rest: code, the engine's own structures, KV caches, compute
// buffers, projectors, models that fit. It is measured each time it is asked for, as the private memory that is
// allocated (touched or not) beside the memory of Regions, which holds the weights: it can only grow by
// allocations that are counted before they are used. Shared mappings of files are no private memory: a KV cache in a
// file counts with the memory meant for it. What somebody has foretold of it counts from the start; more is
// counted when more is allocated than that and the engine's usual slack, or when it is in memory already.
//
// What is available changes: other processes take memory, a group's limit is lowered. Refresh looks again. A fall
// counts at once, a rise when it has lasted for kRiseTime. The user's own limits are never exceeded.
//
// Thread-safe.
class WeightsAllowance {
 public:
  struct Limits {
    std::optional<uint64_t> process_bytes;  // of the whole process
    bool automatic = false;                 // the process gets what is available, less a margin
    std::optional<uint64_t> weights_bytes;  // of weights alone
    uint64_t foretold_rest_bytes = 0;       // 0: nobody has
  };
  static constexpr std::chrono::milliseconds kRiseTime{2000};
  using Clock = std::chrono::steady_clock;

  // Made before the first model is mapped: what the process holds then is taken for its code and structures.
  WeightsAllowance(const Limits& limits, const AddressLimits& address_limits, ReadText read,
                   Clock::time_point now = Clock::now());

  // For the weights of streaming models, all together, as of the last Refresh.
  uint64_t Bytes() const;
  // When Bytes() is too little: half of what the limit leaves beside the memory that the rest really holds, for the
  // rest does not touch all that it allocates. At most kShortBytes, with which the disk still runs at its speed.
  static constexpr uint64_t kShortBytes = uint64_t{64} << 20;
  uint64_t BytesWhenShort() const;
  // For the whole process; UINT64_MAX: none.
  uint64_t process_limit() const { return process_limit_.load(std::memory_order_relaxed); }
  // What the process holds now of what counts: anonymous memory, and its code.
  uint64_t UsedBytes() const;
  // Looks at what is available now.
  void Refresh(Clock::time_point now = Clock::now());
  // Replaces the limit of weights alone.
  void SetWeightsLimit(uint64_t bytes);
  // Models that fit and are left to the engine: their weights, and how much of them is mapped and not copied.
  void SetPassive(uint64_t weight_bytes, uint64_t mapped_bytes);
  // Memory that caches in shared mappings of files may hold: the process's statistics do not tell it from their size.
  void SetFileCaches(uint64_t bytes);
  // "1.50 GiB for the process - 412 MiB for all but weights", for errors and debugging.
  std::string Describe() const;

 private:
  uint64_t RestBytes() const;

  const Limits limits_;
  uint64_t most_bytes_ = UINT64_MAX;  // for the whole process, whatever is available later
  const ReadText read_;
  std::atomic<uint64_t> process_limit_{UINT64_MAX};  // UINT64_MAX: none
  std::atomic<uint64_t> weights_limit_{UINT64_MAX};
  uint64_t code_bytes_ = 0;          // in memory when this was made
  uint64_t unused_bytes_ = 0;        // private, but not memory when this was made: stacks, what libraries hold ready
  uint64_t unused_stack_bytes_ = 0;  // part of that
  mutable std::mutex mutex_;
  PressureBrake brake_;                                          // guarded by mutex_
  std::deque<std::pair<Clock::time_point, uint64_t>> ceilings_;  // of the last kRiseTime; guarded by mutex_
  uint64_t passive_bytes_ = 0;                                   // guarded by mutex_
  uint64_t passive_mapped_bytes_ = 0;                            // guarded by mutex_
  uint64_t file_cache_bytes_ = 0;                                // guarded by mutex_
};

}  // namespace headrace
