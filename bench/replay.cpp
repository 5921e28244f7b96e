#include "replay.h"

#include <algorithm>
#include <vector>

#include "experts/expert_heat.h"
#include "experts/heat_mixture.h"

namespace headrace {
namespace {

constexpr uint64_t kNever = UINT64_MAX;

// Position of each choice's next one of the same expert, in a flat list of all choices.
std::vector<uint64_t> NextUses(std::span<const RouterStep> trace, uint64_t experts, size_t keys) {
  uint64_t position = 0;
  for (const RouterStep& step : trace) position += step.experts.size();
  std::vector<uint64_t> next(position, kNever), upcoming(keys, kNever);
  for (size_t i = trace.size(); i-- > 0;) {
    for (size_t e = trace[i].experts.size(); e-- > 0;) {
      uint64_t& known = upcoming[trace[i].layer * experts + trace[i].experts[e]];
      next[--position] = known;
      known = position;
    }
  }
  return next;
}

bool BeginsPass(std::span<const RouterStep> trace, size_t i) { return i == 0 || trace[i].layer <= trace[i - 1].layer; }

}  // namespace

uint64_t CountPasses(std::span<const RouterStep> trace) {
  uint64_t passes = 0;
  for (size_t i = 0; i < trace.size(); ++i) passes += BeginsPass(trace, i);
  return passes;
}

ReplayResult Replay(std::span<const RouterStep> trace, uint64_t slots, ReplayPolicy policy, double half_life,
                    uint64_t counted_passes, ReplayForesight foresight) {
  uint64_t layers = 0, experts = 0;
  for (const auto steps : {trace, foresight.steps}) {
    for (const RouterStep& step : steps) {
      layers = std::max<uint64_t>(layers, step.layer + 1);
      for (const uint32_t expert : step.experts) experts = std::max<uint64_t>(experts, expert + 1);
    }
  }
  const size_t keys = layers * experts;
  ReplayResult result;
  if (keys == 0) return result;
  const std::vector<uint64_t> next =
      policy == ReplayPolicy::kOptimum ? NextUses(trace, experts, keys) : std::vector<uint64_t>();
  ExpertHeat heat(keys, half_life > 0 ? half_life : 1);
  HeatMixture mixture(policy == ReplayPolicy::kMixture ? keys : 0);
  std::vector<uint64_t> last_use(keys, 0), next_use(keys, kNever);
  std::vector<uint64_t> kept(keys, 0);                           // is not given up before the end of that step
  std::vector<bool> resident(keys, false), unused(keys, false);  // unused: read ahead and not chosen yet
  std::vector<size_t> held;                                      // resident keys
  held.reserve(slots);

  // What goes first has the least worth.
  const auto worth = [&](size_t key) {
    switch (policy) {
      case ReplayPolicy::kLru:
        return static_cast<double>(last_use[key]);
      case ReplayPolicy::kHeat:
        return heat[key];
      case ReplayPolicy::kMixture:
        return mixture[key];
      case ReplayPolicy::kOptimum:
        return -static_cast<double>(next_use[key]);
    }
    return 0.0;
  };
  uint64_t number = 0;
  bool counted = false;
  // False: all that is in memory is kept.
  const auto bring = [&](size_t key) {
    size_t* place = nullptr;
    if (held.size() < slots) {
      place = &held.emplace_back();
    } else {
      for (size_t& candidate : held) {
        if (kept[candidate] < number && (place == nullptr || worth(candidate) < worth(*place))) place = &candidate;
      }
      if (place == nullptr) return false;
      result.wrong += counted && unused[*place];
      resident[*place] = unused[*place] = false;
    }
    *place = key;
    resident[key] = true;
    return true;
  };
  const uint64_t passes = CountPasses(trace);
  const uint64_t filling = passes - std::min(passes, counted_passes);
  uint64_t position = 0, pass = 0;
  for (size_t i = 0; i < trace.size(); ++i) {
    const RouterStep& step = trace[i];
    ++number;
    if (BeginsPass(trace, i)) {
      heat.Age(1);
      mixture.Age(1);
      ++pass;
    }
    counted = pass > filling;
    for (const uint32_t expert : step.experts) {
      const size_t key = step.layer * experts + expert;
      heat.Touch(key, 1);
      if (policy == ReplayPolicy::kMixture)
        mixture.Touch(key, 1, static_cast<double>(step.experts.size()) / static_cast<double>(experts));
      last_use[key] = kept[key] = number;
      unused[key] = false;
      if (policy == ReplayPolicy::kOptimum) next_use[key] = next[position];
      ++position;
      if (!counted) continue;
      ++result.chosen;
      result.hits += resident[key];
    }
    for (const uint32_t expert : step.experts) {
      const size_t key = step.layer * experts + expert;
      if (!resident[key]) bring(key);
    }
    if (i + 1 >= foresight.steps.size() || BeginsPass(trace, i + 1)) continue;
    const RouterStep& coming = foresight.steps[i + 1];
    for (const uint32_t expert : coming.experts) kept[coming.layer * experts + expert] = number;
    uint64_t reads = 0;
    for (const uint32_t expert : coming.experts) {
      const size_t key = coming.layer * experts + expert;
      if (resident[key] || reads == foresight.most || !bring(key)) continue;
      unused[key] = true;
      ++reads;
    }
    if (counted) result.ahead += reads;
  }
  return result;
}

}  // namespace headrace
