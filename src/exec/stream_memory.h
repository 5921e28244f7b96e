// The memory that streaming uses: how much weights may have now, and within that the plan's ring (with the prefetcher
// that reads into it), scratch, experts' cache and rows of tables. Resident rows are the WeightStore's.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "exec/expert_store.h"
#include "exec/row_store.h"
#include "exec/weight_store.h"
#include "memory/headroom.h"
#include "memory/region.h"
#include "memory/weights_allowance.h"
#include "stream/prefetcher.h"
#include "telemetry/snapshot.h"

namespace headrace {

// One owner at a time (the pass that runs), but for ExceedsAllowance.
class StreamMemory {
 public:
  // All outlive it.
  StreamMemory(ReadService& reads, WeightsAllowance& allowance, WeightStore& weights, ExpertStore& experts,
               RowStore& rows, SnapshotWriter& snapshot, Headroom& headroom);

  // Before a pass: plans with what weights may use now, and allocates what the plan says. `column_bytes` of scratch are
  // wanted for the widest batch (PlanResidency). No experts are pinned. Errors: kOutOfBudget with the arithmetic, or
  // the allocation's.
  Status Prepare(uint64_t column_bytes);

  // So much of what weights may use is used beside the plan, from the next Prepare on.
  void SetAside(uint64_t bytes) { aside_bytes_ = bytes; }

  // Whether the allowance is below the present plan; then the next GiveBack looks what must go. Thread-safe.
  bool ExceedsAllowance();
  // An allowance that was exceeded has not been followed yet. Counts as exceeded, and is looked at anew, when there was
  // no headroom.
  bool MustGiveBack();
  // Makes the smaller plan. True when there was one: what was resident may be so no more. Between two products, or two
  // passes; no experts are pinned.
  Result<bool> GiveBack();
  // Gives all of it back: the last weights have gone, and the experts' cache.
  void Clear();

  // Null before the first Prepare and after Clear.
  Prefetcher* prefetcher() const { return prefetcher_.get(); }
  RowStore& rows() { return rows_; }
  // Rows in a packed layout, or columns of one expert.
  std::span<uint8_t> scratch() { return {reinterpret_cast<uint8_t*>(scratch_.data()), scratch_.bytes()}; }

 private:
  uint64_t Allowed() const;
  uint64_t LimitNow();
  Status Allocate();

  ReadService& reads_;
  WeightsAllowance& allowance_;
  WeightStore& weights_;
  ExpertStore& experts_;
  RowStore& rows_;
  SnapshotWriter& snapshot_;
  Headroom& headroom_;

  std::atomic<uint64_t> aside_bytes_{0};
  std::atomic<uint64_t> planned_bytes_{0};   // that the present plan uses
  std::atomic<bool> over_allowance_{false};  // was seen; the owner has not looked yet
  bool short_of_memory_ = false;             // the allowance is below what works, and it was said
  Reservation ring_reservation_;
  std::unique_ptr<Prefetcher> prefetcher_;
  Reservation scratch_reservation_;
  Region scratch_;
};

}  // namespace headrace
