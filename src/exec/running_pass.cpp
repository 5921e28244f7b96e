#include "exec/running_pass.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "exec/kernel_choice.h"

namespace headrace {

RunningPass::RunningPass(WeightStore& weights, ExpertStore& experts, StreamMemory& memory, PassAccount& account,
                         Headroom& headroom, SnapshotWriter& snapshot, RouterTraceWriter* trace)
    : weights_(weights),
      experts_(experts),
      memory_(memory),
      account_(account),
      headroom_(headroom),
      snapshot_(snapshot),
      trace_(trace) {}

Status RunningPass::Begin() {
  turn_ = 0;
  HEADRACE_RETURN_IF_ERROR(memory_.Prepare(plan.column_bytes));
  memory_.rows().Foresee(plan.lookups);  // before the disk has anything else to do
  if (ExpertCache* const cache = experts_.cache()) {
    const bool narrow = plan.columns < KernelChoice::kWideTokens;  // ChooseWay
    cache->BeginPass(static_cast<double>(plan.columns), narrow ? static_cast<uint32_t>(plan.columns) : 1);
  }
  Schedule(0);
  const bool loading = std::any_of(plan.takeovers.begin(), plan.takeovers.end(), [](const Takeover& takeover) {
    return std::any_of(takeover.segments.begin(), takeover.segments.end(),
                       [](const SegmentRows& rows) { return rows.keep; });
  });
  snapshot_->state = loading ? Snapshot::kLoading : Snapshot::kStreaming;
  account_.PublishPlan(plan.files);
  Announce();
  return {};
}

void RunningPass::End() {
  plan.uses.clear();  // with their pins
}

// Decides what each takeover from the first on reads, as far as it is known before the routers have chosen.
void RunningPass::Schedule(size_t first) {
  std::vector<std::vector<SegmentRows>> next;
  SchedulePass(plan.takeovers, first, weights_.plan().segment_bytes, next);
  const ExpertCache* const cache = experts_.cache();
  for (ExpertUse& use : plan.uses) {
    if (use.begun) continue;
    use.way = use.upload
                  ? ChooseUploadWay(use)
                  : ChooseWay(use.experts, use.per_token, use.tokens, cache == nullptr ? 0 : cache->slots(use.layer));
  }
  next_.clear();
  bool foreseen = true;  // all that the next pass reads
  for (size_t i = 0; i < plan.takeovers.size(); ++i) {
    Takeover& takeover = plan.takeovers[i];
    if (const ExpertUse* use = takeover.experts) {
      foreseen = foreseen && use->way != ExpertUse::Way::kOnDemand;
      const auto matrix = static_cast<uint64_t>(takeover.weight->tensor.ne[1]);
      for (uint32_t expert = 0; use->way == ExpertUse::Way::kStreamed && expert < use->experts; ++expert) {
        if (cache != nullptr && cache->Holds(use->layer, expert)) continue;
        CutSegments(*takeover.weight, expert * matrix, (expert + 1) * matrix, ExpertSegmentBytes(), false, next[i]);
      }
      if (i >= first) takeover.segments = next[i];
    }
    for (const SegmentRows& rows : next[i]) next_.push_back(SegmentOf(*takeover.weight, rows));
  }
  if (!foreseen) next_.clear();
}

// A prompt multiplies an expert in one go where the ring has room: each product gathers the columns anew.
uint64_t RunningPass::ExpertSegmentBytes() const {
  return std::max(weights_.plan().segment_bytes, weights_.plan().ring_bytes / 4);
}

void RunningPass::Announce() {
  std::vector<Segment> pass;
  bool open = true;
  for (size_t i = turn_; i < plan.takeovers.size() && open; ++i) {
    Takeover& takeover = plan.takeovers[i];
    const ExpertUse* use = takeover.experts;
    open = use == nullptr || use->begun || use->way != ExpertUse::Way::kOnDemand;
    if (!open) break;
    takeover.first_segment = pass.size();
    for (const SegmentRows& rows : takeover.segments) pass.push_back(SegmentOf(*takeover.weight, rows));
  }
  const bool reads = !pass.empty() || !next_.empty() || !open;
  if (reads) prefetcher().Announce(std::move(pass), open ? next_ : std::vector<Segment>{});
}

// The router of a layer has chosen: nothing else of the layer is read any more.
void RunningPass::AnnounceChosen(const ExpertUse& use) {
  for (size_t i = turn_; i <= use.last; ++i) {
    Takeover& takeover = plan.takeovers[i];
    if (takeover.experts == &use) takeover.segments = ChosenSegments(use, takeover, ExpertSegmentBytes());
  }
  Announce();
}

Status RunningPass::BeginTurn(Takeover& takeover, bool& changed) {
  changed = false;
  if (memory_.MustGiveBack()) {
    const bool pinned = std::any_of(plan.uses.begin(), plan.uses.end(),
                                    [this](const ExpertUse& use) { return use.begun && use.last >= turn_; });
    if (!pinned) {
      const auto given = GiveBack();
      if (!given.ok()) return given.status();
      changed = *given;
    }
  }
  if (changed) {
    Schedule(turn_);
    Announce();
  } else if (takeover.experts == nullptr && takeover.resident_rows > takeover.weight->resident_rows) {
    // An earlier product of this pass found no room to keep them.
    ScheduleProduct(takeover, weights_.plan().segment_bytes);
    Announce();
  }
  return {};
}

Status RunningPass::BeginExperts(Takeover& takeover) {
  ExpertUse& use = *takeover.experts;
  if (use.begun) return {};
  const auto later = static_cast<size_t>(&plan.uses.back() - &use);
  HEADRACE_RETURN_IF_ERROR(BeginUse(use, experts_.cache(), later + 1, account_.counts));
  account_.overlap.Add(use.layer, use.choice);
  if (trace_ != nullptr && use.tokens == 1) trace_->Write(use.layer, use.choice.experts());
  if (use.way != ExpertUse::Way::kCached) AnnounceChosen(use);
  return {};
}

ExpertUse* RunningPass::BeginForesight(const ExpertUse& use, size_t most_pieces, Foresight& foresight) {
  if (!foresees_ || use.way != ExpertUse::Way::kCached || use.tokens != 1 || &use == &plan.uses.back()) return nullptr;
  ExpertUse& next = plan.uses[static_cast<size_t>(&use - plan.uses.data()) + 1];
  if (next.way != ExpertUse::Way::kCached || next.router_weight == nullptr) return nullptr;
  const ggml_tensor& hidden = *plan.takeovers[use.first].node->src[1];
  return foresight.Begin(next.router, *next.router_weight, hidden, most_pieces) ? &next : nullptr;
}

void RunningPass::ReadForeseen(ExpertUse& next, Foresight& foresight) {
  next.foreseen = foresight.Best(static_cast<size_t>(next.per_token));
  std::vector<ExpertName> names;
  for (const uint32_t expert : next.foreseen) names.push_back({next.layer, expert});
  experts_.cache()->DropPrefetches();
  experts_.cache()->Prefetch(names, ExpertCache::Into::kColdestToo);
}

uint32_t RunningPass::slots(const ExpertUse& use) const {
  const ExpertCache* const cache = experts_.cache();
  return cache == nullptr ? 0 : cache->slots(use.layer);
}

void RunningPass::EndTurn(Takeover& takeover) {
  if (ExpertUse* const use = takeover.experts; use != nullptr && &takeover == &plan.takeovers[use->last]) {
    use->cached.Release();
  }
  ++turn_;
}

Result<Prefetcher::Arrival> RunningPass::Await(const Takeover& takeover, size_t segment, uint64_t bytes,
                                               uint64_t& wait_ns) {
  const uint64_t start = Now();
  auto arrival = prefetcher().Await(takeover.first_segment + segment, bytes);
  wait_ns += Now() - start;
  return arrival;
}

Result<bool> RunningPass::RoomToKeep(Weight& weight, const SegmentRows& segment, uint64_t kept) {
  if (!segment.keep || segment.first_row > kept || memory_.MustGiveBack()) return false;
  HEADRACE_RETURN_IF_ERROR(weights_.Commit(weight));
  const uint64_t row_bytes = weight.resident_row_bytes();
  return headroom_.Touch(weight.storage.data() + segment.first_row * row_bytes, segment.rows * row_bytes);
}

Result<bool> RunningPass::GiveBack() {
  auto given = memory_.GiveBack();
  if (given.ok() && *given) {
    account_.PublishPlan(plan.files);
    snapshot_->resident_bytes = weights_.resident_bytes();
  }
  return given;
}

uint64_t RunningPass::streamed_bytes() const {
  uint64_t bytes = 0;
  for (const Takeover& takeover : plan.takeovers) {
    for (const SegmentRows& rows : takeover.segments) bytes += rows.rows * takeover.weight->cut.row_bytes;
  }
  return bytes;
}

}  // namespace headrace
