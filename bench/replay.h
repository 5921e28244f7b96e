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
  kMixture,  // the least likely by three memories (heat_mixture.h)
  kOptimum,  // what is needed again last (Belady 1966): no policy has more hits
};

struct ReplayResult {
  uint64_t chosen = 0;
  uint64_t hits = 0;
  double rate() const { return chosen == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(chosen); }
};

// Passes in a trace: one ends where the layer number falls or stays.
uint64_t CountPasses(std::span<const RouterStep> trace);

// `slots` for the experts of all layers together. The experts of one step are never given up for each other;
// when they are more than the slots, those beyond are misses. `half_life` in passes, for kHeat. Only the last
// `counted_passes` count; those before fill the cache.
ReplayResult Replay(std::span<const RouterStep> trace, uint64_t slots, ReplayPolicy policy, double half_life = 0,
                    uint64_t counted_passes = UINT64_MAX);

}  // namespace headrace
