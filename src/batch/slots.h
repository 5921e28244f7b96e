// How many sequences share a pass, and how large their KV cache is. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace headrace::batch {

// More add little to what the processor does in a pass (docs/batch.md), and take memory from weights.
inline constexpr uint64_t kMostSlots = 64;

// What the requests of a batch need of the KV cache.
struct BatchDemand {
  uint64_t requests = 0;
  double mean_tokens = 0;
  uint64_t largest_tokens = 0;
};

struct SlotChoice {
  uint64_t slots = 1;
  uint64_t cache_tokens = 0;  // of all slots together
  double pass_seconds = 0;    // with a token of each, 0: unknown
};

// Tokens that so many slots use together as a rule, and at least those of the largest request.
uint64_t CacheTokens(const BatchDemand& demand, uint64_t slots);

// Seconds of a pass with a token from each slot when so much of the KV cache is allocated; 0 when it cannot be told,
// nullopt when the memory does not suffice.
using PassSeconds = std::function<std::optional<double>(uint64_t slots, uint64_t cache_tokens)>;

// The number of 1, 2, 4, ... `most` with the most tokens/s; of those about as good the largest, since the prediction
// for many tokens is the cautious one. 1 when nothing fits.
SlotChoice ChooseSlots(const BatchDemand& demand, uint64_t most, const PassSeconds& pass_seconds);

}  // namespace headrace::batch
