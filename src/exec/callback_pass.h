// Computes a pass through the scheduler's eval callback: any pass, also of wide batches, beside a host's own callback,
// with a KV cache in files.
//
// The scheduler asks the callback about each node in order. At the node before a managed product it is answered so that
// everything so far gets computed. At the product itself it is computed here, piece by piece as rows arrive, by all
// threads of the host's backend, and the node is a no-op until the scheduler has passed it; one whose weight is in
// memory is left to the engine, with that memory as its weight. The host's own callback is still asked about every
// node.
#pragma once

#include <cstdint>
#include <deque>

#include "exec/dense_multiplier.h"
#include "exec/expert_multiplier.h"
#include "exec/node_changes.h"
#include "exec/running_pass.h"
#include "exec/uploader.h"

namespace headrace {

// The eval callback that the host installed, if any.
struct HostCallback {
  ggml_backend_sched_eval_callback function = nullptr;
  void* user_data = nullptr;
};

// One pass at a time.
class CallbackPass {
 public:
  using ComputeFunction = ggml_status (*)(ggml_backend_sched_t, ggml_cgraph*);

  // All outlive it.
  CallbackPass(const GgmlApi& api, RunningPass& pass, Uploader& uploads, const KernelChoice& choice, ApartTypes& apart,
               Workers& workers)
      : api_(api), pass_(pass), uploads_(uploads), dense_(api, pass, choice, apart, workers), experts_(api, choice) {}

  // Computes the pass that has begun. Errors: of a product. The engine's own status is in `status`.
  Status Run(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute, const HostCallback& host,
             ggml_status& status);

  // Time that moves of rows took since this exists.
  uint64_t move_ns() const { return dense_.move_ns() + experts_.pack_ns(); }

 private:
  static bool OnNode(ggml_tensor* node, bool ask, void* self) noexcept;
  bool Ask(ggml_tensor* node);
  bool Answer(ggml_tensor* node);
  bool IsBefore(const ggml_tensor* node) const;
  bool LeaveOut(ggml_tensor* node);
  Status LookUp(const Lookup& lookup);
  Status Execute(Takeover& takeover);
  Status ExecuteExperts(Takeover& takeover);

  const GgmlApi& api_;
  RunningPass& pass_;
  Uploader& uploads_;
  DenseMultiplier dense_;
  ExpertMultiplier experts_;
  Foresight foresight_;

  // Of the pass that runs.
  HostCallback host_;
  NodeChanges changes_;
  std::deque<ggml_tensor> resident_;    // weights in memory, of nodes that use them
  size_t lookup_ = 0;                   // the one whose turn is next
  ggml_tensor* taken_ = nullptr;        // node that is a no-op at present
  const ggml_tensor* asked_ = nullptr;  // the last one
  bool host_wants_ = false;             // the host's answer for it
  Status failure_;
};

}  // namespace headrace
