// Computes a pass of narrow batches (decode, drafts that are judged) within the engine's own graph: each managed
// product's node is replaced by one that runs our function on all of the engine's threads, and a product whose weight
// is in memory becomes an ordinary one with that memory as its weight. So the graph is computed as a whole by one team
// of threads, as without headrace.
//
// A wide batch is another matter (CallbackPass): there all threads share the conversion of the batch's columns.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "exec/dense_tiles.h"
#include "exec/graph_experts.h"
#include "exec/node_changes.h"
#include "exec/running_pass.h"
#include "exec/worker.h"

namespace headrace {

// One pass at a time.
class GraphPass {
 public:
  using ComputeFunction = ggml_status (*)(ggml_backend_sched_t, ggml_cgraph*);

  // All outlive it.
  GraphPass(const GgmlApi& api, RunningPass& pass, const KernelChoice& choice, Workers& workers);
  ~GraphPass();
  GraphPass(const GraphPass&) = delete;
  GraphPass& operator=(const GraphPass&) = delete;

  // Whether the pass that runs, which has begun, is computed so: batches are narrow, and the cache has room for the
  // experts of each layer.
  bool Fits(ggml_backend_sched_t sched, ggml_cgraph* graph);
  // Computes it. Errors: of a product. The engine's own status is in `status`.
  Status Run(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute, ggml_status& status);

 private:
  // What a replaced node's function is called with.
  struct Call {
    GraphPass* pass;
    size_t index;           // a turn, a layer of experts, or a lookup of rows
    ggml_tensor* function;  // a node of ours that the engine made; the replaced one gets its operation
  };
  static void OnProduct(ggml_tensor* node, const ggml_tensor* source, int thread, int threads, void* call);
  static void OnChoice(ggml_tensor* node, const ggml_tensor* source, int thread, int threads, void* call);
  static void OnLookup(ggml_tensor* node, const ggml_tensor* source, int thread, int threads, void* call);
  void LookUp(ggml_tensor* node, size_t lookup) noexcept;
  void Compute(ggml_tensor* node, size_t turn, int thread, int threads) noexcept;
  Status Begin(ggml_tensor* node, size_t turn, int threads);  // needs mutex_
  void Choose(size_t layer, int thread) noexcept;
  bool BeginsLayer(size_t turn) const;
  Status BeginLayer(size_t layer);  // needs mutex_
  void LookAhead(size_t layer, int thread, Worker* worker);
  void End(ggml_tensor* node, uint64_t now);  // needs mutex_
  void Change(size_t from);
  void SkipTurns(size_t end);
  void StopGraph(int after);
  ggml_tensor& FunctionOf(std::deque<Call>& calls, size_t index, ggml_custom1_op_t function);

  const GgmlApi& api_;
  RunningPass& pass_;
  Workers& workers_;
  NodeChanges changes_;
  DenseTiles tiles_;
  GraphExperts experts_;
  std::deque<Call> products_, choices_,
      lookups_;                          // one for each turn, layer of experts, and lookup of rows; stay where they are
  size_t functions_ = 0;                 // of all of them
  std::vector<ggml_context*> contexts_;  // of their nodes
  std::deque<ggml_tensor> resident_;     // weights in memory, of nodes that use them

  // Of the pass that runs.
  ggml_cgraph* graph_ = nullptr;
  std::atomic<size_t> gives_back_at_{
      0};  // the layer of experts before which memory is given back; nobody looks ahead there
  std::mutex
      mutex_;  // guards all below, and the pass; the first thread of a node holds it while it prepares the others' work
  int entered_ = 0, left_ = 0;  // threads of the present node
  bool ready_ = false;          // it can be worked on
  uint64_t began_at_ = 0;
  Status failure_;
};

}  // namespace headrace
