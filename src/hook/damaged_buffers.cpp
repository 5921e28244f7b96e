#include "hook/damaged_buffers.h"

namespace headrace {

void DamagedBuffers::Add(ggml_backend_buffer_t buffer, const std::string& why) {
  const std::lock_guard lock(mutex_);
  reasons_.emplace(buffer, why);
  any_ = true;
}

bool DamagedBuffers::Contains(ggml_backend_buffer_t buffer) const {
  const std::lock_guard lock(mutex_);
  return reasons_.contains(buffer);
}

void DamagedBuffers::Forget(ggml_backend_buffer_t buffer) {
  const std::lock_guard lock(mutex_);
  reasons_.erase(buffer);
  any_ = !reasons_.empty();
}

std::optional<std::string> DamagedBuffers::UsedBy(const GgmlApi& engine, ggml_cgraph* graph) const {
  const std::lock_guard lock(mutex_);
  const int nodes = engine.graph_n_nodes(graph);
  for (int i = 0; i < nodes; ++i) {
    for (const ggml_tensor* source : engine.graph_node(graph, i)->src) {
      const auto damaged = source == nullptr ? reasons_.end() : reasons_.find(source->buffer);
      if (damaged != reasons_.end()) return damaged->second;
    }
  }
  return std::nullopt;
}

}  // namespace headrace
