#include "exec/stream_memory.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"

namespace headrace {
StreamMemory::StreamMemory(ReadService& reads, WeightsAllowance& allowance, WeightStore& weights, ExpertStore& experts,
                           RowStore& rows, SnapshotWriter& snapshot, Headroom& headroom)
    : reads_(reads),
      allowance_(allowance),
      weights_(weights),
      experts_(experts),
      rows_(rows),
      snapshot_(snapshot),
      headroom_(headroom) {}

Status StreamMemory::Prepare(uint64_t column_bytes) {
  weights_.SetLimit(LimitNow());
  snapshot_->budget_bytes = weights_.limit();
  snapshot_->process_limit_bytes = allowance_.process_limit() == UINT64_MAX ? 0 : allowance_.process_limit();
  snapshot_->process_bytes = allowance_.UsedBytes();
  if (const Status planned = weights_.Replan(column_bytes); !planned.ok()) {
    return Status(planned.code(), fmt::format("{} ({})", planned.message(), allowance_.Describe()));
  }
  over_allowance_ = false;
  return Allocate();
}

uint64_t StreamMemory::Allowed() const {
  const uint64_t bytes = allowance_.Bytes();
  return bytes == UINT64_MAX ? bytes : bytes - std::min<uint64_t>(bytes, aside_bytes_);
}

// What weights may use now. A model that streams already goes on with the least that works, however short memory is:
// the kernel may find it elsewhere.
uint64_t StreamMemory::LimitNow() {
  const uint64_t allowed = Allowed();
  if (prefetcher_ == nullptr) return allowed;
  if (allowed >= planned_bytes_ && !weights_.changed()) {  // as in nearly every pass: the rest takes time
    short_of_memory_ = false;
    return allowed;
  }
  const uint64_t limit =
      std::max({allowed, weights_.floor_bytes(), std::min(allowance_.BytesWhenShort(), planned_bytes_.load())});
  const bool is_short = limit > allowed;
  if (is_short && !short_of_memory_) {
    LogWarning(fmt::format("memory is short: {} are left for weights ({}), streaming continues with {}",
                           FormatSize(allowed), allowance_.Describe(), FormatSize(limit)));
  }
  short_of_memory_ = is_short;
  return limit;
}

bool StreamMemory::ExceedsAllowance() {
  if (Allowed() >= planned_bytes_) return false;
  over_allowance_ = true;
  return true;
}

bool StreamMemory::MustGiveBack() {
  if (headroom_.TakeRefused()) {
    allowance_.Refresh();
    over_allowance_ = true;
  }
  return over_allowance_;
}

Result<bool> StreamMemory::GiveBack() {
  if (!over_allowance_.exchange(false) || prefetcher_ == nullptr) return false;
  weights_.SetLimit(LimitNow());
  snapshot_->budget_bytes = weights_.limit();
  if (!weights_.must_shrink()) return false;
  LogDebug(fmt::format("gives back {}: weights may use {} now ({})",
                       FormatSize(weights_.planned_bytes() - weights_.limit()), FormatSize(weights_.limit()),
                       allowance_.Describe()));
  HEADRACE_RETURN_IF_ERROR(weights_.Replan(0));
  HEADRACE_RETURN_IF_ERROR(Allocate());
  return true;
}

// The experts' cache, rows, ring and scratch of the sizes that the plan says.
Status StreamMemory::Allocate() {
  const ResidencyPlan& plan = weights_.plan();
  const bool unchanged = prefetcher_ != nullptr && ring_reservation_.bytes() == plan.ring_bytes &&
                         scratch_reservation_.bytes() == plan.scratch_bytes;
  // What goes is given back before anything is charged: any of the three may grow by what another shrinks.
  planned_bytes_ = weights_.planned_bytes();
  if (!unchanged) {
    prefetcher_.reset();
    scratch_ = {};
    ring_reservation_.Release();
    scratch_reservation_.Release();
  }
  HEADRACE_RETURN_IF_ERROR(reads_.Start());
  if (weights_.row_bytes() < rows_.memory_bytes()) rows_.Drop();
  HEADRACE_RETURN_IF_ERROR(experts_.EnsureCache(weights_, plan.expert_cache_bytes, reads_, headroom_));
  HEADRACE_RETURN_IF_ERROR(rows_.EnsureMemory(weights_, weights_.row_bytes(), reads_, headroom_));
  if (unchanged) return {};
  auto ring_reservation = weights_.Charge(plan.ring_bytes, "read-ahead ring");
  if (!ring_reservation.ok()) return ring_reservation.status();
  auto scratch_reservation = weights_.Charge(plan.scratch_bytes, "repacking scratch");
  if (!scratch_reservation.ok()) return scratch_reservation.status();

  auto ring = Region::Reserve(plan.ring_bytes);
  if (!ring.ok()) return ring.status();
  HEADRACE_RETURN_IF_ERROR(ring->Commit(0, plan.ring_bytes));
  auto scratch = Region::Reserve(plan.scratch_bytes);
  if (!scratch.ok()) return scratch.status();
  HEADRACE_RETURN_IF_ERROR(scratch->Commit(0, plan.scratch_bytes));
  prefetcher_ = std::make_unique<Prefetcher>(reads_, std::move(*ring), &headroom_);
  scratch_ = std::move(*scratch);
  ring_reservation_ = std::move(*ring_reservation);
  scratch_reservation_ = std::move(*scratch_reservation);
  LogDebug(
      fmt::format("weights {}: {} resident, {} streamed per pass; experts {}, cache {}; ring {}, scratch {}, segments "
                  "of at most {}",
                  FormatSize(weights_.weight_bytes()), FormatSize(plan.resident_bytes), FormatSize(plan.streamed_bytes),
                  FormatSize(weights_.expert_bytes()), FormatSize(experts_.cache_bytes()), FormatSize(plan.ring_bytes),
                  FormatSize(plan.scratch_bytes), FormatSize(plan.segment_bytes)));
  return {};
}

void StreamMemory::Clear() {
  prefetcher_.reset();
  rows_.Drop();
  reads_.Stop();
  planned_bytes_ = 0;
  scratch_ = {};
  ring_reservation_.Release();
  scratch_reservation_.Release();
}

}  // namespace headrace
