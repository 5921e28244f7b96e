// Seam 3, the KV cache: libllama allocates the tensors of each KV cache, sets them to zero and frees them through
// these functions. A cache that is larger than the memory meant for it is allocated in a file.
#include "base/log.h"
#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "hook/engine_symbols.h"
#include "hook/runtime.h"

#define HEADRACE_SEAM __attribute__((visibility("default")))

extern "C" {

HEADRACE_SEAM ggml_backend_buffer_t ggml_backend_alloc_ctx_tensors_from_buft(ggml_context* context,
                                                                             ggml_backend_buffer_type_t type) {
  const auto real = HEADRACE_BEHIND(ggml_backend_alloc_ctx_tensors_from_buft);
  if (real == nullptr) return nullptr;
  return headrace::Runtime::Get().AllocateTensors(context, type, real, __builtin_return_address(0));
}

HEADRACE_SEAM void ggml_backend_buffer_clear(ggml_backend_buffer_t buffer, uint8_t value) {
  headrace::KvStore* const store = headrace::Runtime::Get().kv_store();
  if (store != nullptr && store->Fill(buffer, value)) return;
  if (const auto real = HEADRACE_BEHIND(ggml_backend_buffer_clear)) real(buffer, value);
}

HEADRACE_SEAM void ggml_backend_buffer_free(ggml_backend_buffer_t buffer) {
  const auto real = HEADRACE_BEHIND(ggml_backend_buffer_free);
  if (real == nullptr) return;
  headrace::Runtime& runtime = headrace::Runtime::Get();
  if (runtime.damaged_buffers().any()) runtime.damaged_buffers().Forget(buffer);
  headrace::KvStore* const store = runtime.kv_store();
  if (store == nullptr) return real(buffer);
  store->Free(buffer, real);
}

}  // extern "C"
