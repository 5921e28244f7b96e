#include "exec/expert_use.h"

#include <algorithm>

#include "exec/kernel_choice.h"
#include "plan/expert_demand.h"

namespace headrace {
ExpertUse::Way ChooseWay(uint32_t experts, int64_t per_token, int64_t tokens, uint32_t slots) {
  const int64_t choices = per_token * tokens;
  if (tokens < KernelChoice::kWideTokens && std::min<int64_t>(experts, choices) <= slots)
    return ExpertUse::Way::kCached;
  return choices >= kCoveringChoices * experts ? ExpertUse::Way::kStreamed : ExpertUse::Way::kOnDemand;
}

ExpertUse::Way ChooseUploadWay(const ExpertUse& use) {
  return !use.kept && use.per_token * use.tokens >= use.experts ? ExpertUse::Way::kStreamed : ExpertUse::Way::kCached;
}

Status BeginUse(ExpertUse& use, ExpertCache* cache, size_t layers_left, ExpertCounts& counts) {
  auto choice = RouterChoice::Read(*use.ids, use.experts);
  if (!choice.ok()) return choice.status();
  use.choice = std::move(*choice);
  use.begun = true;
  const std::vector<uint32_t>& experts = use.choice.experts();
  counts.foreseen += use.foreseen.size();
  counts.foreseen_rightly += static_cast<uint64_t>(std::count_if(
      use.foreseen.begin(), use.foreseen.end(), [&](uint32_t expert) { return use.choice.Chosen(expert); }));
  if (cache != nullptr) {
    for (const uint32_t expert : experts)
      cache->Touch(use.layer, expert, static_cast<double>(use.choice.pairs(expert).size()));
  }
  if (use.way == ExpertUse::Way::kCached) {
    const auto held = static_cast<uint64_t>(std::count_if(
        experts.begin(), experts.end(), [&](uint32_t expert) { return cache->Ready(use.layer, expert); }));
    auto pins = cache->Demand(use.layer, experts);
    if (pins.ok()) {
      counts.chosen += experts.size();
      counts.hits += held;
      use.cached = std::move(*pins);
      return {};
    }
    if (pins.status().code() != Code::kOutOfBudget) return pins.status();
    use.way = ExpertUse::Way::kOnDemand;  // other experts of this pass are pinned
  }
  use.streamed = experts;
  if (cache != nullptr) {
    const size_t room = (cache->free_slots(use.layer) + layers_left - 1) / std::max<size_t>(1, layers_left);
    std::vector<ExpertName> wanted;  // the most chosen come first
    for (size_t i = 0; i < experts.size() && wanted.size() < room; ++i) {
      if (!cache->Holds(use.layer, experts[i])) wanted.push_back({use.layer, experts[i]});
    }
    cache->Prefetch(wanted);
    use.cached = cache->PinHeld(use.layer, experts);
    for (size_t i = 0; i < use.cached.size(); ++i) std::erase(use.streamed, use.cached.expert(i));
  }
  std::sort(use.streamed.begin(), use.streamed.end());
  return {};
}

std::vector<SegmentRows> ChosenSegments(const ExpertUse& use, const Takeover& takeover, uint64_t segment_limit) {
  std::vector<SegmentRows> segments;
  const auto matrix = static_cast<uint64_t>(takeover.weight->tensor.ne[1]);
  for (const uint32_t expert : use.streamed)
    CutSegments(*takeover.weight, expert * matrix, (expert + 1) * matrix, segment_limit, false, segments);
  return segments;
}

}  // namespace headrace
