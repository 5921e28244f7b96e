#include "exec/state_guard.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "exec/kv_graph.h"

namespace headrace {

uint64_t StateGuard::Find(ggml_cgraph* graph) {
  ranges_.clear();
  const int nodes = api_.graph_n_nodes(graph);
  for (int i = 0; i < nodes; ++i) {
    const ggml_tensor* node = api_.graph_node(graph, i);
    const ggml_tensor* root = node->view_src;
    if (root == nullptr || OnlyNames(api_.op, *node) || root->op != GGML_OP_NONE || IsKvName(root->name)) continue;
    if (root->buffer == nullptr || !api_.backend_buffer_is_host(root->buffer)) continue;
    // A node that names all rows and writes some (SET_ROWS) counts whole, and so does a view with gaps.
    ranges_.push_back({static_cast<uint8_t*>(node->data), api_.nbytes(node)});
  }
  // Each byte once, as it was before the first node that replaces it.
  std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return a.data < b.data; });
  size_t kept = 0;
  for (const Range& range : ranges_) {
    uint8_t* const end = kept == 0 ? nullptr : ranges_[kept - 1].data + ranges_[kept - 1].bytes;
    if (kept > 0 && range.data <= end) {
      ranges_[kept - 1].bytes = static_cast<uint64_t>(std::max(end, range.data + range.bytes) - ranges_[kept - 1].data);
    } else {
      ranges_[kept++] = range;
    }
  }
  ranges_.resize(kept);
  return bytes();
}

uint64_t StateGuard::bytes() const {
  return std::accumulate(ranges_.begin(), ranges_.end(), uint64_t{0},
                         [](uint64_t sum, const Range& range) { return sum + range.bytes; });
}

Status StateGuard::Save() {
  const uint64_t bytes = this->bytes();
  if (bytes == 0 || bytes < copies_.bytes() / 2) copies_ = {};
  if (bytes == 0) return {};
  if (copies_.bytes() < bytes) {
    copies_ = {};
    auto region = Region::Reserve(bytes);
    if (!region.ok()) return region.status();
    HEADRACE_RETURN_IF_ERROR(region->Commit(0, bytes));
    copies_ = std::move(*region);
  }
  std::byte* at = copies_.data();
  for (const Range& range : ranges_) {
    std::memcpy(at, range.data, range.bytes);
    at += range.bytes;
  }
  return {};
}

void StateGuard::Restore() {
  const std::byte* at = copies_.data();
  for (const Range& range : ranges_) {
    std::memcpy(range.data, at, range.bytes);
    at += range.bytes;
  }
}

}  // namespace headrace
