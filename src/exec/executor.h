// Computes graphs whose weights are larger than memory, and leaves graphs without managed weights to the engine. One
// executor serves all models and contexts of a process: they share one budget, one ring, one disk.
//
// It owns the parts and decides for each pass which of the two ways computes it: GraphPass, within the engine's own
// graph, or CallbackPass, between pieces of it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/config.h"
#include "exec/callback_pass.h"
#include "exec/engine_trust.h"
#include "exec/expert_store.h"
#include "exec/ggml_api.h"
#include "exec/graph_pass.h"
#include "exec/kernel_choice.h"
#include "exec/mapping_table.h"
#include "exec/packed_layout.h"
#include "exec/pass_account.h"
#include "exec/row_store.h"
#include "exec/running_pass.h"
#include "exec/state_guard.h"
#include "exec/stream_memory.h"
#include "exec/uploader.h"
#include "exec/weight_store.h"
#include "exec/worker.h"
#include "experts/router_trace.h"
#include "io/drive_figures.h"
#include "io/read_service.h"
#include "memory/headroom.h"
#include "memory/memory_watch.h"
#include "memory/weights_allowance.h"
#include "stream/range_copy.h"
#include "telemetry/snapshot.h"

namespace headrace {

class Executor {
 public:
  using ComputeFunction = ggml_status (*)(ggml_backend_sched_t, ggml_cgraph*);

  // All but `config` outlive the executor. `allowance` is asked before each pass, and followed while the executor
  // lives.
  Executor(const GgmlApi& api, const Config& config, WeightsAllowance& allowance, MappingTable& mappings,
           const ExpertStacks& stacks, SnapshotWriter& snapshot);
  ~Executor();

  // Computes the graph with the engine's own `compute`. Passes of several threads run one after the
  // other. Failures (a read error, a changed file, too little memory) are logged once and returned as
  // GGML_STATUS_FAILED or ALLOC_FAILED; the results are then not to be used. noexcept: hosts are C.
  ggml_status Compute(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                      const HostCallback& host) noexcept;

  // Memory may have become short: gives back what is over the allowance, at once when no pass runs, else before the
  // pass's next product. The executor's own watch asks for it several times a second.
  void FollowAllowance() noexcept;

  // The scheduler is about to allocate the graph, and to put copies on devices in the place of some weights; it may be
  // computed several times.
  void BeforeAllocation(ggml_backend_sched_t sched, ggml_cgraph* graph) noexcept;
  void ForgetScheduler(ggml_backend_sched_t sched) noexcept;

  // The scheduler is about to have a weight at that address copied to a device. Within a pass of this thread; else
  // nothing happens.
  void BeforeUpload(const void* data) noexcept;
  // The engine copies `bytes` at `data`, whose origin is given, to a device: while it loads a model, or within a pass.
  // `take` gets them in order, as they are read; within a pass, where `by_threads`, in any order and by several
  // threads. Errors: the read's, once logged; not all was taken then. A pass that computes meanwhile fails by itself.
  Status Upload(const void* data, uint64_t bytes, const Origin& origin, const RangeCopy::Take& take,
                bool by_threads) noexcept;

  // Whether it is worth it; else the engine may read the mapping.
  bool WantsUpload(const void* data, uint64_t bytes) { return !ComputesHere() || uploader_.Takes(data, bytes); }
  // Whether this thread computes a pass: that one fails when an upload does.
  bool ComputesHere() const;

  // The address range is about to be unmapped. Waits for no pass, since hosts unmap in one, too: its weights go at once
  // when no pass runs, else when that has ended.
  void Forget(const void* address, uint64_t bytes) noexcept;

  // The process ends: keeps what was learned, unless a thread still computes.
  void Leave() noexcept;

 private:
  std::shared_ptr<const std::vector<MappedWeight>> MappedWeightsOf(ggml_backend_sched_t sched);
  void GuardStates(ggml_cgraph* graph);
  void SetAside();
  Status Prepare(std::vector<ManagedProduct> products, std::vector<Lookup> lookups);
  ggml_status RunPass(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                      const HostCallback& host);
  Status Run(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute, const HostCallback& host,
             ggml_status& status);
  Status CheckFiles() const;
  ggml_status Fail(const Status& status);
  void Account(uint64_t wall_ns);
  ggml_status ComputeAlone(std::vector<ManagedProduct> products, std::vector<Lookup> lookups,
                           ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                           const HostCallback& host);
  void CountUploads(uint64_t bytes, uint64_t from_memory);
  void DropForgotten();
  void DropForgottenUnlessBusy();

  const GgmlApi& api_;
  const Config config_;
  WeightsAllowance& allowance_;
  MappingTable& mappings_;
  const ExpertStacks& stacks_;
  SnapshotWriter& snapshot_;

  std::mutex forgotten_mutex_;  // held for moments, after mutex_
  std::vector<std::pair<const void*, uint64_t>>
      forgotten_;  // unmapped ranges whose weights are to go; guarded by forgotten_mutex_

  std::mutex mapped_mutex_;  // held for moments
  std::unordered_map<ggml_backend_sched_t, std::shared_ptr<const std::vector<MappedWeight>>>
      mapped_;  // guarded by mapped_mutex_

  std::mutex mutex_;                          // one pass at a time; guards all below
  std::unique_ptr<RouterTraceWriter> trace_;  // of narrow passes; null: not asked for
  std::unique_ptr<PackedLayouts> layouts_;
  Headroom headroom_;  // before what fills memory
  WeightStore weights_;
  DriveTable drives_;                  // before reads_
  const uint64_t drive_buffer_bytes_;  // of each drive; before reads_
  ReadService reads_;                  // before all that read
  RangeCopy copies_;                   // thread-safe: models are loaded while others compute
  ExpertStore experts_;
  RowStore rows_;
  RouterCopies routers_;
  KernelChoice choice_;
  ApartTypes apart_types_;
  EngineTrust trust_;
  PassAccount account_;
  StreamMemory memory_;
  RunningPass pass_;
  Workers workers_;
  Uploader uploader_;
  GraphPass graph_pass_;
  CallbackPass callback_pass_;
  StateGuard state_guard_;
  bool unguarded_ = false;      // the pass that runs has states that are not guarded
  uint64_t guarded_bytes_ = 0;  // of its states that are

  std::unique_ptr<MemoryWatch> watch_;  // last: it uses all else
};

}  // namespace headrace
