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
  kHeat,     // the coldest by one memory (experts/expert_heat.h)
  kMixture,  // the least likely by three (experts/heat_mixture.h): what ExpertCache does
  kOptimum,  // what is needed again last (Belady 1966): no policy has more hits
};

struct ReplayResult {
  uint64_t chosen = 0;
  uint64_t hits = 0;   // in memory when they were chosen
  uint64_t ahead = 0;  // read before they were chosen
  uint64_t wrong = 0;  // of them, given up before they were
  uint64_t reads() const { return chosen - hits + ahead; }
  double rate() const { return chosen == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(chosen); }
};

// What was foreseen of each step, the likeliest first, is read ahead while the layer before computes, as RunningPass
// does: in the place of the coldest experts that are neither used by that layer nor foreseen. The first layer of a pass
// is not foreseen.
struct ReplayForesight {
  std::span<const RouterStep> steps;  // as many as the trace has; none: nothing is read ahead
  uint64_t most = UINT64_MAX;         // reads for which a layer's time is enough
};

// Passes in a trace: one ends where the layer number falls or stays.
uint64_t CountPasses(std::span<const RouterStep> trace);

// `slots` for the experts of all layers together. The experts of one step are never given up for each other;
// when they are more than the slots, those beyond are misses. `half_life` in passes, for kHeat. Only the last
// `counted_passes` count; those before fill the cache.
ReplayResult Replay(std::span<const RouterStep> trace, uint64_t slots, ReplayPolicy policy, double half_life = 0,
                    uint64_t counted_passes = UINT64_MAX, ReplayForesight foresight = {});

}  // namespace headrace
