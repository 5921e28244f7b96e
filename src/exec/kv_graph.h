// Which KV tensors a graph uses, in what order, and which of their bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "exec/ggml_api.h"
#include "kv/kv_pager.h"

namespace headrace {

// A layer's keys and values in a graph: between `before` and `last` it must be in memory.
struct KvUse {
  KvLayer parts;
  const ggml_tensor* before = nullptr;  // the node before the first of `nodes`, null for the graph's first
  std::vector<ggml_tensor*> nodes;      // that read or write the layer, in graph order
};

struct KvGraph {
  std::vector<KvUse> uses;     // in graph order
  uint64_t written_bytes = 0;  // of keys and values that the graph computes
};

// The file that holds an address, or null.
using FindKvFile = std::function<const KvFile*(const void*)>;

KvGraph FindKvUses(const GgmlApi& api, ggml_cgraph* graph, const FindKvFile& find);

// Whether a tensor of that name is the cache of a layer's keys or values: "cache_k_l0", "cache_v_l0" and, of sparse
// attention, "cache_idx_k_l0"; not the state of recurrent layers.
bool IsKvName(const char* name);

// Whether a node only names bytes, and touches none.
bool OnlyNames(const GgmlOps& op, const ggml_tensor& node);

// All pages that hold bytes of the tensor, which may be a permuted view; gaps smaller than a page count as used.
// Offsets are from `base`.
void AddPagesOf(const GgmlApi& api, const ggml_tensor& tensor, const void* base, PageRanges& pages);

}  // namespace headrace
