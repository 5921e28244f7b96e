#include "exec/expert_use.h"

#include <algorithm>

#include "exec/kernel_choice.h"

namespace headrace {
namespace {

// Choices per expert from which on nearly all experts are chosen: 98 % of them if the choice were uniform.
constexpr int64_t kCoveringChoices = 4;

}  // namespace

bool ExpertUse::Streams(uint32_t expert) const { return std::binary_search(streamed.begin(), streamed.end(), expert); }

ExpertUse::Way ChooseWay(uint32_t experts, int64_t per_token, int64_t tokens, uint32_t slots) {
  const int64_t choices = per_token * tokens;
  if (tokens < KernelChoice::kWideTokens && std::min<int64_t>(experts, choices) <= slots) return ExpertUse::Way::kCached;
  return choices >= kCoveringChoices * experts ? ExpertUse::Way::kStreamed : ExpertUse::Way::kOnDemand;
}

Status BeginUse(ExpertUse& use, const ggml_tensor& ids, ExpertCache* cache, size_t layers_left, ExpertCounts& counts) {
  auto choice = RouterChoice::Read(ids, use.experts);
  if (!choice.ok()) return choice.status();
  use.choice = std::move(*choice);
  use.begun = true;
  const std::vector<uint32_t>& experts = use.choice.experts();
  counts.foreseen += use.foreseen.size();
  counts.foreseen_rightly += static_cast<uint64_t>(
      std::count_if(use.foreseen.begin(), use.foreseen.end(), [&](uint32_t expert) { return use.choice.Chosen(expert); }));
  if (cache != nullptr) {
    for (const uint32_t expert : experts) cache->Touch(use.layer, expert, static_cast<double>(use.choice.pairs(expert).size()));
  }
  if (use.way == ExpertUse::Way::kCached) {
    const auto held = static_cast<uint64_t>(
        std::count_if(experts.begin(), experts.end(), [&](uint32_t expert) { return cache->Ready(use.layer, expert); }));
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
    use.cached = cache->PinHeld(use.layer, experts);
    for (size_t i = 0; i < use.cached.size(); ++i) std::erase(use.streamed, use.cached.expert(i));
    // The most chosen come first.
    use.adopted = cache->Adopt(use.layer, use.streamed, (cache->free_slots(use.layer) + layers_left - 1) / std::max<size_t>(1, layers_left));
  }
  std::sort(use.streamed.begin(), use.streamed.end());
  return {};
}

std::vector<SegmentRows> NeededSegments(const ExpertUse& use, const Takeover& takeover, size_t begun, uint64_t segment_limit) {
  std::vector<SegmentRows> segments(takeover.segments.begin(), takeover.segments.begin() + static_cast<std::ptrdiff_t>(begun));
  const auto matrix = static_cast<uint64_t>(takeover.weight->tensor.ne[1]);
  const uint64_t reached = segments.empty() ? 0 : segments.back().first_row + segments.back().rows;
  size_t at = 0;
  for (const uint32_t expert : use.streamed) {
    const uint64_t begin = expert * matrix, end = begin + matrix;
    if (begin >= reached) {
      CutSegments(*takeover.weight, begin, end, segment_limit, false, segments);
      continue;
    }
    // Announced in the order of experts: either this one's segments are among those that were begun, or it was
    // left out because the cache had it then.
    while (at < begun && segments[at].first_row < begin) ++at;
    const bool announced = at < begun && segments[at].first_row == begin;
    CutSegments(*takeover.weight, announced ? std::max(begin, std::min(end, reached)) : begin, end, segment_limit, false, segments);
  }
  return segments;
}

}  // namespace headrace
