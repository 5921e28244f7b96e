// Experts of a narrow pass within the engine's own graph (GraphPass).
//
// Between a router and the first product with the experts that it chose lies a node that computes nothing: a view of
// the ids, or a reshape. It gets a function of ours. (Where a device computes the router there is none; the first
// product's own function then does the same first.) When the engine's threads come to it the choice is known: what is
// absent is asked for, and each of the layer's products whose experts are in memory becomes an ordinary MUL_MAT_ID with
// the cache's slots as its weight and slots as its ids. Of the others each thread computes a share of the rows, first
// with the experts that are there, then with each that has arrived; where the cache holds experts repacked, it repacks
// its rows of new ones first.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "exec/kernel_choice.h"
#include "exec/node_changes.h"
#include "exec/router_foresight.h"
#include "exec/running_pass.h"
#include "exec/slot_groups.h"
#include "exec/worker.h"

namespace headrace {

// One pass at a time.
class GraphExperts {
 public:
  // All outlive it.
  GraphExperts(const GgmlApi& api, RunningPass& pass, const KernelChoice& choice, NodeChanges& changes)
      : api_(api), pass_(pass), choice_(choice), changes_(changes) {}

  // Whether the experts of the pass that runs, which has begun, can be computed so. Finds the layers' free nodes.
  bool Fit(ggml_backend_sched_t sched, ggml_cgraph* graph);

  size_t layers() const { return layers_.size(); }
  // The node before the layer's first product that is free for a function of ours, null where there is none.
  ggml_tensor* free_node(size_t layer) const { return layers_[layer]->free_node; }
  // Where in the graph the layer begins: the place of that node, or of the first product.
  int begins_at(size_t layer) const { return layers_[layer]->begins_at; }
  size_t layer_of(const ExpertUse& use) const { return static_cast<size_t>(&use - pass_.plan.uses.data()); }

  // Makes ready for a layer that has not begun: its products become ordinary ones, for which the engine plans its
  // memory. The first one needs a function of ours after that where no node is free.
  void Prepare(size_t layer, size_t most_pieces);
  // The layer's ids are there, and its first product has its turn next; `late` is told the turns that must get a
  // function of ours, which calls Work. One thread; the others may be in LookAhead. Errors: RunningPass::BeginExperts'.
  Status Begin(size_t layer, std::vector<size_t>& late);
  // Each of the engine's threads once, the first (0) after it has begun the layer: they share the router of the layer
  // after this one. `worker` may be null.
  void LookAhead(size_t layer, int thread, Worker* worker);
  // So many threads will work at a product of a layer that has begun.
  void BeginWork(const Takeover& takeover, int threads);
  // They have: makes those of the layer's later products ordinary whose experts have arrived meanwhile.
  void EndWork(const Takeover& takeover);
  // They have failed: the cache forgets what was being repacked.
  void GiveUpWork(const Takeover& takeover);
  // A product of a layer that has begun, not all of whose experts had arrived: this thread's share of the rows. Each
  // thread once. Adds the time that it waited. Errors: the read's; CheckProduct's.
  Status Work(const Takeover& takeover, int thread, int threads, Worker& worker, uint64_t& wait_ns);

 private:
  struct Layer {
    ExpertUse* use = nullptr;
    ggml_tensor* free_node = nullptr;
    int begins_at = 0;
    ggml_tensor ids;                  // slots instead of experts
    std::vector<int32_t> slots;       // their values
    std::deque<ggml_tensor> weights;  // of its products
    Foresight foresight;
    ExpertUse* foreseen = nullptr;  // the layer that is foreseen; null: none
    std::atomic<size_t> next_piece{0};
    std::atomic<size_t> unfinished{0};  // pieces, and the layer's beginning
  };
  const PackedLayout* LayoutOf(const Takeover& takeover) const;
  bool MakeOrdinary(Layer& layer, Takeover& takeover);
  void Repack(const Takeover& takeover, uint8_t* expert, SlotProduct::Rows rows, Worker& worker) const;
  void FindUnpacked(ExpertCache::Pins& pins, size_t slice, std::vector<SlotGroup>& groups);
  Status MultiplyStreamed(const Takeover& takeover, const SlotProduct::Chosen& expert, const uint8_t* data,
                          uint64_t first_row, SlotProduct::Rows part, Worker& worker) const;
  Status Lead(const Takeover& takeover, SlotProduct::Rows rows, Worker& worker, uint64_t& wait_ns);
  Status MultiplyGroups(const Takeover& takeover, const std::vector<SlotGroup>& groups, SlotProduct::Rows rows,
                        Worker& worker);

  const GgmlApi& api_;
  RunningPass& pass_;
  const KernelChoice& choice_;
  NodeChanges& changes_;
  std::vector<std::unique_ptr<Layer>> layers_;  // of the pass's uses, in their order

  // Of a product that is worked at. The first thread that comes leads: it alone asks the cache what has arrived.
  struct Batches {
    std::atomic_flag led;
    std::vector<std::vector<SlotGroup>> groups;  // of experts that arrived together
    std::atomic<uint32_t> published{0};          // of them, and kAll when no more will come
    static constexpr uint32_t kAll = 1u << 31;
  } batches_;
  std::vector<size_t> repacked_;          // experts (of its use) that it repacks; the leader's, until all have worked
  std::deque<std::atomic<int>> readers_;  // of each of its segments: threads that have not multiplied it
};

}  // namespace headrace
