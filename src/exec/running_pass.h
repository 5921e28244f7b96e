// The pass that runs: whose turn it is, what each product reads and finds in memory, and what the prefetcher is told.
// It moves forward in graph order, whoever computes (GraphPass or CallbackPass).
#pragma once

#include <cstdint>
#include <vector>

#include "exec/pass_account.h"
#include "exec/pass_plan.h"
#include "exec/stream_memory.h"
#include "experts/router_trace.h"
#include "memory/headroom.h"
#include "telemetry/snapshot.h"

namespace headrace {

// One owner at a time; the engine's threads that compute one product count as one while they hold a lock together.
class RunningPass {
 public:
  // All outlive it. `trace` may be null.
  RunningPass(WeightStore& weights, ExpertStore& experts, StreamMemory& memory, PassAccount& account,
              Headroom& headroom, SnapshotWriter& snapshot, RouterTraceWriter* trace);

  PassPlan plan;  // made by the executor before Begin

  // Before the first product: memory for the plan, and the schedule. Errors: StreamMemory::Prepare's.
  Status Begin();
  // The pass has ended, well or not.
  void End();

  size_t turn() const { return turn_; }
  bool complete() const { return turn_ == plan.takeovers.size(); }
  // The takeover whose turn is next; null when all have had theirs.
  Takeover* next() { return complete() ? nullptr : &plan.takeovers[turn_]; }
  // Tells the prefetcher what is read from this turn on, up to the first layer whose router must choose first. A pass
  // that reads nothing leaves it alone: what it reads ahead is for another model's next pass.
  void Announce();

  // A product's turn begins. Where memory has become short some is given back, and what follows is scheduled anew:
  // `changed` is then true.
  Status BeginTurn(Takeover& takeover, bool& changed);
  // The router of a layer has chosen, and the first of the layer's products has its turn. Errors: of the choice or the
  // cache.
  Status BeginExperts(Takeover& takeover);
  // The layer whose experts are worth to be foreseen while this one computes, from this one's hidden state, in at most
  // so many pieces; null: none. After BeginExperts, or before the pass computes anything.
  ExpertUse* BeginForesight(const ExpertUse& use, size_t most_pieces, Foresight& foresight);
  // All its pieces have been computed: what that layer will probably choose is read, while the disk would idle.
  void ReadForeseen(ExpertUse& next, Foresight& foresight);
  // Slots that the experts of a layer can use.
  uint32_t slots(const ExpertUse& use) const;
  // A product has been computed.
  void EndTurn(Takeover& takeover);

  // Blocks until leading bytes of one of a takeover's segments have arrived, and adds the time that it waited.
  // Thread-safe. Errors: the read's.
  Result<Prefetcher::Arrival> Await(const Takeover& takeover, size_t segment, uint64_t bytes, uint64_t& wait_ns);
  // Commits and touches the memory of rows that are to become resident, where those up to `kept` are or will be. False
  // for others, and when there is no room for them now, or for rows before them: they are then used as they pass by,
  // and another pass tries again.
  Result<bool> RoomToKeep(Weight& weight, const SegmentRows& segment, uint64_t kept);

  // Between two products, or two passes; no experts are pinned. True when the plan has become smaller.
  Result<bool> GiveBack();
  // A pass with narrow batches has read experts lately: it is worth to foresee them.
  void set_foresees(bool foresees) { foresees_ = foresees; }
  uint64_t streamed_bytes() const;

  Prefetcher& prefetcher() { return *memory_.prefetcher(); }
  StreamMemory& memory() { return memory_; }
  PassAccount& account() { return account_; }

 private:
  void Schedule(size_t first);
  uint64_t ExpertSegmentBytes() const;
  void AnnounceChosen(const ExpertUse& use);

  WeightStore& weights_;
  ExpertStore& experts_;
  StreamMemory& memory_;
  PassAccount& account_;
  Headroom& headroom_;
  SnapshotWriter& snapshot_;
  RouterTraceWriter* const trace_;

  std::vector<Segment> next_;  // what the prefetcher reads for a pass that follows
  size_t turn_ = 0;            // the takeover whose turn is next
  bool foresees_ = true;
};

}  // namespace headrace
