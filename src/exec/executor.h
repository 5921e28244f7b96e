// Computes graphs whose weights are larger than memory: takes over the products with managed weights and
// leaves everything else to the engine's scheduler. One executor serves all models and contexts of a
// process: they share one budget, one ring, one disk.
//
// For each managed product the scheduler's eval callback is answered so that all nodes before it are
// computed when its turn comes; the executor then computes it piece by piece as rows arrive and turns the
// node into a no-op until the scheduler has passed it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "base/config.h"
#include "exec/expert_multiplier.h"
#include "exec/expert_store.h"
#include "exec/expert_use.h"
#include "exec/ggml_api.h"
#include "exec/kernel_choice.h"
#include "exec/mapping_table.h"
#include "exec/packed_layout.h"
#include "exec/pass.h"
#include "exec/pass_account.h"
#include "exec/product.h"
#include "exec/stream_memory.h"
#include "exec/weight_store.h"
#include "experts/router_trace.h"
#include "memory/headroom.h"
#include "memory/memory_watch.h"
#include "memory/weights_allowance.h"
#include "stream/prefetcher.h"
#include "telemetry/snapshot.h"

namespace headrace {

// The eval callback that the host installed, if any: it is still asked about every node.
struct HostCallback {
  ggml_backend_sched_eval_callback function = nullptr;
  void* user_data = nullptr;
};

class Executor {
 public:
  using ComputeFunction = ggml_status (*)(ggml_backend_sched_t, ggml_cgraph*);

  // All but `config` outlive the executor. `allowance` is asked before each pass, and followed while the executor lives.
  Executor(const GgmlApi& api, const Config& config, WeightsAllowance& allowance, MappingTable& mappings,
           SnapshotWriter& snapshot);
  ~Executor();

  // Computes the graph with the engine's own `compute`. Passes of several threads run one after the
  // other. Failures (a read error, a changed file, too little memory) are logged once and returned as
  // GGML_STATUS_FAILED or ALLOC_FAILED; the results are then not to be used. noexcept: hosts are C.
  ggml_status Compute(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                      const HostCallback& host) noexcept;

  // Memory may have become short: gives back what is over the allowance, at once when no pass runs, else before the pass's
  // next product. The executor's own watch asks for it several times a second.
  void FollowAllowance() noexcept;

  // The address range is about to be unmapped. Waits for no pass, since hosts unmap in one, too: its weights go at once when no pass
  // runs, else when that has ended.
  void Forget(const void* address, uint64_t bytes) noexcept;

  // The process ends: keeps what was learned, unless a thread still computes.
  void Leave() noexcept;

 private:
  struct Candidate {
    Takeover takeover;
    Origin origin;
  };
  std::vector<Candidate> FindCandidates(ggml_backend_sched_t sched, ggml_cgraph* graph) const;
  Status Prepare(std::vector<Candidate> candidates);
  void GroupExperts();
  void Schedule(size_t first);
  Result<bool> GiveBack();
  Status GiveBackWithinPass();
  bool EngineCanBeCut(const Takeover& takeover);
  void LearnCosts(const Takeover& takeover);
  uint64_t ExpertSegmentBytes() const;
  ggml_status RunPass(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute, const HostCallback& host);
  static bool OnNode(ggml_tensor* node, bool ask, void* self) noexcept;
  bool Ask(ggml_tensor* node);
  bool Answer(ggml_tensor* node);
  Status Execute(Takeover& takeover);
  void Announce();
  void AnnounceChosen(const ExpertUse& use);
  Status ExecuteExperts(Takeover& takeover);
  void Foresee(const Takeover& takeover);
  // Rows of one weight that lie together in memory in one layout, to be multiplied at once.
  struct Run {
    uint64_t first_row = 0;
    uint64_t rows = 0;
    uint8_t* data = nullptr;
    const PackedLayout* packed = nullptr;
  };
  Result<bool> RoomToKeep(Weight& weight, const SegmentRows& segment);
  Status ExecuteSegment(const Takeover& takeover, const SegmentRows& segment, Run& run);
  Result<Prefetcher::Arrival> Await(uint64_t bytes);
  Status Multiply(const Takeover& takeover, Run& run, const Move* move);
  Status Check(ggml_status status, const Takeover& takeover);
  Status CheckFiles() const;
  ggml_status Fail(const Status& status);
  void Account(uint64_t wall_ns);
  ggml_status ComputeAlone(std::vector<Candidate> candidates, ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                           const HostCallback& host);
  void DropForgotten();
  void DropForgottenUnlessBusy();

  const GgmlApi& api_;
  const Config config_;
  WeightsAllowance& allowance_;
  MappingTable& mappings_;
  SnapshotWriter& snapshot_;

  std::mutex forgotten_mutex_;       // held for moments, after mutex_
  std::vector<std::pair<const void*, uint64_t>> forgotten_;  // unmapped ranges whose weights are to go; guarded by forgotten_mutex_

  std::mutex mutex_;                 // one pass at a time; guards all below
  std::set<std::tuple<ggml_type, bool, bool>> checked_;  // tensor type, of experts, packed: what the cut check saw
  bool usable_ = true;               // false: everything is left to the mapping
  std::unique_ptr<PackedLayouts> layouts_;
  Headroom headroom_;                // before what fills memory
  WeightStore weights_;
  ExpertStore experts_;
  Product product_;
  KernelChoice choice_;
  ExpertMultiplier expert_multiplier_;
  PassAccount account_;
  StreamMemory memory_;

  // Of the pass that runs.
  std::vector<Takeover> takeovers_;  // in graph order
  std::vector<ExpertUse> uses_;      // of the layers with experts, in graph order
  std::vector<Segment> next_;        // what the prefetcher reads for a pass that follows
  int64_t columns_ = 0;              // of the widest batch
  uint64_t multiplied_bytes_ = 0;    // of weights, if that batch is one column wide
  std::vector<const SourceFile*> files_;
  size_t turn_ = 0;                  // the takeover whose turn is next
  ggml_tensor* taken_ = nullptr;     // node that is a no-op at present
  ggml_op taken_op_ = GGML_OP_NONE;
  bool host_wants_ = false;          // the host's answer for the node asked about last
  HostCallback host_;
  Status failure_;
  ggml_status failed_compute_ = GGML_STATUS_SUCCESS;
  bool foresees_ = true;             // the last narrow pass read experts
  std::unique_ptr<RouterTraceWriter> trace_;  // of narrow passes; null: not asked for

  std::unique_ptr<MemoryWatch> watch_;  // last: it uses all else
};

}  // namespace headrace
