#include "exec/worker.h"

namespace headrace {

ggml_backend_t Workers::NewBackend(const GgmlApi& api, int threads) {
  ggml_backend_dev_t device = api.backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (device == nullptr) return nullptr;
  const auto set_threads = reinterpret_cast<ggml_backend_set_n_threads_t>(
      api.backend_reg_get_proc_address(api.backend_dev_backend_reg(device), "ggml_backend_set_n_threads"));
  if (set_threads == nullptr) return nullptr;
  ggml_backend_t backend = api.backend_dev_init(device, nullptr);
  if (backend != nullptr) set_threads(backend, threads);
  return backend;
}

Worker* Workers::Of(int thread) {
  const std::lock_guard lock(mutex_);
  const auto index = static_cast<size_t>(thread);
  if (workers_.size() <= index) workers_.resize(index + 1);
  if (workers_[index] == nullptr) {
    ggml_backend_t backend = NewBackend(api_, 1);
    if (backend == nullptr) return nullptr;
    workers_[index] = std::make_unique<Worker>(api_, apart_, backend);
  }
  return workers_[index].get();
}

}  // namespace headrace
