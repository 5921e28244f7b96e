// Buffers on devices that lack weights, because these could not be read while a model was loaded. Whatever uses one of
// them must fail: it would compute with something else.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "exec/ggml_api.h"

namespace headrace {

// Thread-safe.
class DamagedBuffers {
 public:
  // The first reason stays.
  void Add(ggml_backend_buffer_t buffer, const std::string& why);
  bool Contains(ggml_backend_buffer_t buffer) const;
  // It is freed: another one may get its address.
  void Forget(ggml_backend_buffer_t buffer);

  // A cheap question for seams that every program calls.
  bool any() const { return any_.load(std::memory_order_acquire); }
  // Why the first one that the graph uses is damaged; none: it uses no such buffer.
  std::optional<std::string> UsedBy(const GgmlApi& engine, ggml_cgraph* graph) const;

 private:
  std::atomic<bool> any_{false};
  mutable std::mutex mutex_;
  std::map<ggml_backend_buffer_t, std::string> reasons_;  // guarded by mutex_
};

}  // namespace headrace
