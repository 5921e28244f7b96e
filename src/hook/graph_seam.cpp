// Seam 2, the graph: the scheduler's functions through which libllama and other users of ggml compute.
#include <utility>

#include "ggml-backend.h"
#include "hook/engine_symbols.h"
#include "hook/runtime.h"

#define HEADRACE_SEAM __attribute__((visibility("default")))

namespace {

// The one that this thread computes.
thread_local const ggml_cgraph* t_graph = nullptr;

ggml_status Compute(ggml_backend_sched_t sched, ggml_cgraph* graph, headrace::Executor::ComputeFunction real) {
  if (real == nullptr) return GGML_STATUS_FAILED;
  headrace::Runtime& runtime = headrace::Runtime::Get();
  if (runtime.damaged_buffers().any() && runtime.Damaged(graph, real)) return GGML_STATUS_FAILED;
  if (!runtime.any_streams() && runtime.awaits_mapping()) runtime.NoteUnmapped();
  if (!runtime.any_streams() && runtime.kv_store() == nullptr) return real(sched, graph);
  // In some builds of ggml the one function calls the other through the dynamic linker.
  if (graph == t_graph) return real(sched, graph);
  const ggml_cgraph* const around = std::exchange(t_graph, graph);
  const ggml_status status = runtime.Compute(sched, graph, real);
  t_graph = around;
  if (status == GGML_STATUS_SUCCESS && runtime.damaged_buffers().any() && runtime.Damaged(graph, real))
    return GGML_STATUS_FAILED;
  return status;
}

}  // namespace

extern "C" {

HEADRACE_SEAM ggml_status ggml_backend_sched_graph_compute_async(ggml_backend_sched_t sched, ggml_cgraph* graph) {
  return Compute(sched, graph, HEADRACE_BEHIND(ggml_backend_sched_graph_compute_async));
}

// In other builds it does not come back through the dynamic linker: both are defined.
HEADRACE_SEAM ggml_status ggml_backend_sched_graph_compute(ggml_backend_sched_t sched, ggml_cgraph* graph) {
  return Compute(sched, graph, HEADRACE_BEHIND(ggml_backend_sched_graph_compute));
}

// The host's own callback is remembered: while a graph streams, the executor's takes its place and asks it.
HEADRACE_SEAM void ggml_backend_sched_set_eval_callback(ggml_backend_sched_t sched,
                                                        ggml_backend_sched_eval_callback callback, void* user_data) {
  headrace::Runtime& runtime = headrace::Runtime::Get();
  if (runtime.watches()) runtime.callbacks().SetEval(sched, {callback, user_data});
  if (const auto real = HEADRACE_BEHIND(ggml_backend_sched_set_eval_callback)) real(sched, callback, user_data);
}

HEADRACE_SEAM void ggml_backend_sched_free(ggml_backend_sched_t sched) {
  headrace::Runtime& runtime = headrace::Runtime::Get();
  if (runtime.watches()) runtime.ForgetScheduler(sched);
  if (const auto real = HEADRACE_BEHIND(ggml_backend_sched_free)) real(sched);
}

}  // extern "C"
