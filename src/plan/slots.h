// How many requests a server answers at a time while weights stream, and with how much KV memory. Pure.
#pragma once

#include <cstdint>

#include "plan/pass_cost.h"

namespace headrace {

// What it takes to answer one more request at a time, and to hold one more token. Bytes, which weights lose.
struct SlotCosts {
  uint64_t slot_bytes = 0;  // states that do not depend on the length of a text
  uint64_t token_bytes = 0;
};

struct SlotPlan {
  uint64_t slots = 0;        // requests at a time
  uint64_t pool_tokens = 0;  // of the KV cache that they share; at least `context`
};

// llama.cpp rounds a KV cache up to whole groups of so many tokens.
inline constexpr uint64_t kCellGroup = 256;

inline constexpr uint64_t kLeastSlots = 4, kMostSlots = 16;

// `context`: the most tokens of one request. `streamed_bytes` are read in each pass: what slots and tokens cost beyond
// kLeastSlots and one context may make a pass a tenth longer. `slots`: what the user said, 0 for nothing.
SlotPlan PlanSlots(uint64_t context, uint64_t streamed_bytes, const SlotCosts& costs, uint64_t slots = 0);

// `slots`, or 1 where passes that several requests shared were measured, and no number of requests up to `slots` gets
// as many tokens per second as one alone: those of a mixture whose texts need other experts. What nobody measured is
// believed to pay.
uint64_t SlotsThatPay(const PassCost& cost, uint64_t slots);

}  // namespace headrace
