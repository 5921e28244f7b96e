// Replays a router trace through a cache of a given size under a policy: how many choices would have been hits.
// Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "experts/router_trace.h"

namespace headrace {

enum class ReplayPolicy {
  kLru,      // gives up what was used longest ago
  kHeat,     // the coldest (experts/expert_heat.h): what ExpertCache does
  kOptimum,  // what is needed again last (Belady 1966): no policy has more hits
};

struct ReplayResult {
  uint64_t chosen = 0;
  uint64_t hits = 0;
  double rate() const { return chosen == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(chosen); }
};

// `slots` for the experts of all layers together. The experts of one step are never given up for each other;
// when they are more than the slots, those beyond are misses. A pass ends where the layer number falls or stays.
// `half_life` in passes, for kHeat.
ReplayResult Replay(std::span<const RouterStep> trace, uint64_t slots, ReplayPolicy policy, double half_life = 0);

}  // namespace headrace
