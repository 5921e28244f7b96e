// Seam 4, devices: the functions through which weights are copied to a device. What lies in the mapping of a model that
// streams is read by streaming, in bounded memory, instead of through page faults.
//
// Three ways lead there: a model is loaded; the scheduler gives wide batches to a device and copies their weights
// there; the engine keeps experts on it.
#include "base/size.h"
#include "ggml-backend.h"
#include "hook/engine_symbols.h"
#include "hook/runtime.h"

#define HEADRACE_SEAM __attribute__((visibility("default")))

namespace {

using headrace::Runtime;

// A page, or less, is not worth more than a page fault.
bool Worth(size_t bytes) { return bytes > headrace::kReadAlignment && Runtime::HasMappings(); }

// The scheduler is about to copy a weight to a device. The host's own callback (libllama's copies the experts that were
// chosen) comes first.
bool OnCopy(ggml_backend_t backend, const ggml_tensor* from, ggml_tensor* to, ggml_cgraph* graph, void* host_callback) {
  Runtime& runtime = Runtime::Get();
  runtime.BeforeUpload(from->data);
  const auto& host = *static_cast<const headrace::CopyCallback*>(host_callback);
  if (host.function != nullptr && host.function(backend, from, to, graph, host.user_data)) return true;
  return runtime.UploadWhole(backend, *from, *to);
}

}  // namespace

extern "C" {

// An engine that does not ask before it copies a weight would copy it through page faults: there wide batches stay on
// the processor. With one backend nothing is copied.
HEADRACE_SEAM ggml_backend_sched_t ggml_backend_sched_new(ggml_backend_t* backends, ggml_backend_buffer_type_t* types,
                                                          int n_backends, size_t graph_size, bool parallel,
                                                          bool op_offload) {
  const auto real = HEADRACE_BEHIND(ggml_backend_sched_new);
  if (real == nullptr) return nullptr;
  Runtime& runtime = Runtime::Get();
  if (n_backends < 2 || !runtime.any_streams())
    return real(backends, types, n_backends, graph_size, parallel, op_offload);
  const auto ask = HEADRACE_BEHIND(ggml_backend_sched_set_copy_callback);
  const ggml_backend_sched_t sched =
      real(backends, types, n_backends, graph_size, parallel, op_offload && ask != nullptr);
  if (sched != nullptr && ask != nullptr) ask(sched, OnCopy, runtime.callbacks().KeepCopy(sched, {}));
  return sched;
}

HEADRACE_SEAM void ggml_backend_sched_set_copy_callback(ggml_backend_sched_t sched,
                                                        ggml_backend_sched_copy_callback callback, void* user_data) {
  const auto real = HEADRACE_BEHIND(ggml_backend_sched_set_copy_callback);
  if (real == nullptr) return;
  Runtime& runtime = Runtime::Get();
  if (!runtime.callbacks().KeepsCopy(sched)) return real(sched, callback, user_data);
  real(sched, OnCopy, runtime.callbacks().KeepCopy(sched, {callback, user_data}));
}

// What the graph names as weights is known before it is allocated: some of it is replaced by copies on devices then.
HEADRACE_SEAM bool ggml_backend_sched_alloc_graph(ggml_backend_sched_t sched, ggml_cgraph* graph) {
  const auto real = HEADRACE_BEHIND(ggml_backend_sched_alloc_graph);
  if (real == nullptr) return false;
  Runtime& runtime = Runtime::Get();
  if (runtime.any_streams() && runtime.callbacks().KeepsCopy(sched))
    runtime.BeforeAllocation(sched, graph, HEADRACE_BEHIND(ggml_backend_sched_graph_compute_async));
  return real(sched, graph);
}

// libllama gives the tensors of a mapped file their addresses.
HEADRACE_SEAM ggml_status ggml_backend_tensor_alloc(ggml_backend_buffer_t buffer, ggml_tensor* tensor, void* address) {
  const auto real = HEADRACE_BEHIND(ggml_backend_tensor_alloc);
  if (real == nullptr) return GGML_STATUS_FAILED;
  const ggml_status status = real(buffer, tensor, address);
  if (status == GGML_STATUS_SUCCESS && Runtime::HasMappings()) Runtime::Get().OnTensor(*tensor);
  return status;
}

HEADRACE_SEAM void ggml_backend_tensor_set(ggml_tensor* tensor, const void* data, size_t offset, size_t size) {
  const auto real = HEADRACE_BEHIND(ggml_backend_tensor_set);
  if (real == nullptr) return;
  if (!Worth(size) || !Runtime::Get().Upload(nullptr, *tensor, data, offset, size)) real(tensor, data, offset, size);
}

// The source may be read after it has returned, which a piece of ours would not outlive: the tensor is set at once.
HEADRACE_SEAM void ggml_backend_tensor_set_async(ggml_backend_t backend, ggml_tensor* tensor, const void* data,
                                                 size_t offset, size_t size) {
  if (Worth(size) && Runtime::Get().Upload(backend, *tensor, data, offset, size)) return;
  if (const auto real = HEADRACE_BEHIND(ggml_backend_tensor_set_async)) real(backend, tensor, data, offset, size);
}

}  // extern "C"
