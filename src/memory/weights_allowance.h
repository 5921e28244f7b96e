// How many bytes weights may use now: what the limit on the whole process leaves beside everything else in it.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "base/text_file.h"
#include "memory/process_memory.h"

namespace headrace {

// Everything but the weights of streaming models is the rest: code, the engine's own structures, KV caches, compute
// buffers, projectors, models that fit. It is measured each time it is asked for, as the private memory that is
// allocated (touched or not) beside the memory of Regions, which holds the weights: it can only grow by
// allocations that are counted before they are used. What somebody has foretold of it counts from the start; more is
// counted when more is allocated than that and the engine's usual slack, or when it is in memory already.
//
// Thread-safe.
class WeightsAllowance {
 public:
  struct Limits {
    std::optional<uint64_t> process_bytes;  // of the whole process
    std::optional<uint64_t> weights_bytes;  // of weights alone
    uint64_t foretold_rest_bytes = 0;       // 0: nobody has
  };

  // Made before the first model is mapped: what the process holds then is taken for its code and structures.
  WeightsAllowance(const Limits& limits, ReadText read);

  // For the weights of streaming models, all together.
  uint64_t Bytes() const;
  uint64_t process_limit() const { return limits_.process_bytes.value_or(0); }  // 0: none
  // What the process holds now of what counts: anonymous memory, and its code.
  uint64_t UsedBytes() const;
  // Models that fit and are left to the engine: their weights, and how much of them is mapped and not copied.
  void SetPassive(uint64_t weight_bytes, uint64_t mapped_bytes);
  // "1.50 GiB for the process - 412 MiB for all but weights", for errors and debugging.
  std::string Describe() const;

 private:
  uint64_t RestBytes() const;

  const Limits limits_;
  const ReadText read_;
  uint64_t code_bytes_ = 0;        // in memory when this was made
  uint64_t unused_bytes_ = 0;      // private, but not memory when this was made: stacks, what libraries hold ready
  uint64_t unused_stack_bytes_ = 0;  // part of that
  mutable std::mutex mutex_;
  uint64_t passive_bytes_ = 0;     // guarded by mutex_
  uint64_t passive_mapped_bytes_ = 0;  // guarded by mutex_
};

}  // namespace headrace
