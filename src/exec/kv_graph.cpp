#include "exec/kv_graph.h"

#include <algorithm>
#include <cstring>

#include "base/size.h"

namespace headrace {
namespace {

uint64_t OffsetIn(const void* base, const void* address) {
  return static_cast<uint64_t>(static_cast<const std::byte*>(address) - static_cast<const std::byte*>(base));
}

const ggml_tensor& RootOf(const ggml_tensor& tensor) { return tensor.view_src != nullptr ? *tensor.view_src : tensor; }

KvPart& PartOf(KvUse& use, const KvFile& file, uint64_t begin, uint64_t bytes) {
  for (KvPart& part : use.parts) {
    if (part.file == &file && part.place.begin == begin) return part;
  }
  return use.parts.emplace_back(KvPart{&file, {begin, AlignUp(begin + bytes, PageBytes())}, {}});
}

bool Has(const KvUse& use, const KvFile& file, uint64_t begin) {
  return std::any_of(use.parts.begin(), use.parts.end(),
                     [&](const KvPart& part) { return part.file == &file && part.place.begin == begin; });
}

}  // namespace

bool IsKvName(const char* name) {
  for (const char* prefix : {"cache_k_l", "cache_v_l", "cache_idx_k_l", "cache_idx_v_l"}) {
    if (std::strncmp(name, prefix, std::strlen(prefix)) == 0) return true;
  }
  return false;
}

bool OnlyNames(const GgmlOps& op, const ggml_tensor& node) {
  return node.op == GGML_OP_NONE || node.op == op.view || node.op == op.reshape || node.op == op.permute ||
         node.op == op.transpose;
}

void AddPagesOf(const GgmlApi& api, const ggml_tensor& tensor, const void* base, PageRanges& pages) {
  // Dimensions as (stride, count), the smallest stride first; `run` bytes are without a gap.
  struct Dimension {
    uint64_t stride, count;
  };
  std::vector<Dimension> dimensions;
  uint64_t run = api.type_size(tensor.type);
  int first = 0;
  if (tensor.nb[0] == run) {
    run = api.row_size(tensor.type, tensor.ne[0]);
    first = 1;
  }
  for (int i = first; i < GGML_MAX_DIMS; ++i) {
    if (tensor.ne[i] == 0) return;
    if (tensor.ne[i] > 1) dimensions.push_back({tensor.nb[i], static_cast<uint64_t>(tensor.ne[i])});
  }
  std::sort(dimensions.begin(), dimensions.end(),
            [](const Dimension& a, const Dimension& b) { return a.stride < b.stride; });
  size_t apart = 0;
  for (; apart < dimensions.size() && dimensions[apart].stride < run + PageBytes(); ++apart) {
    run += (dimensions[apart].count - 1) * dimensions[apart].stride;
  }
  uint64_t runs = 1;
  for (size_t i = apart; i < dimensions.size(); ++i) runs *= dimensions[i].count;
  const uint64_t begin = OffsetIn(base, tensor.data);
  for (uint64_t number = 0; number < runs; ++number) {
    uint64_t at = begin, rest = number;
    for (size_t i = apart; i < dimensions.size(); ++i) {
      at += rest % dimensions[i].count * dimensions[i].stride;
      rest /= dimensions[i].count;
    }
    AddPages(pages, at, at + run);
  }
}

KvGraph FindKvUses(const GgmlApi& api, ggml_cgraph* graph, const FindKvFile& find) {
  KvGraph found;
  bool reads = false;  // some node of the present use: its layer is complete
  const int nodes = api.graph_n_nodes(graph);
  for (int i = 0; i < nodes; ++i) {
    ggml_tensor* node = api.graph_node(graph, i);
    if (OnlyNames(api.op, *node) || !api.Computes(*node)) continue;
    // SET_ROWS names all rows as its result and writes a few: those that attention reads in the same pass.
    const bool sets_rows = node->op == api.op.set_rows;
    struct Touched {
      const ggml_tensor* tensor;
      const KvFile* file;
    };
    std::vector<Touched> touched;
    const auto look = [&](const ggml_tensor* tensor) {
      if (tensor == nullptr || tensor->data == nullptr || RootOf(*tensor).data == nullptr) return;
      if (const KvFile* file = find(RootOf(*tensor).data)) touched.push_back({tensor, file});
    };
    if (node->view_src != nullptr) look(node);
    if (!touched.empty()) {
      const ggml_tensor& rows = *node->src[0];
      const auto count = static_cast<uint64_t>(rows.ne[1] * rows.ne[2] * rows.ne[3]);
      found.written_bytes += sets_rows ? api.row_size(node->type, rows.ne[0]) * count : api.nbytes(node);
    }
    for (const ggml_tensor* source : node->src) look(source);
    if (touched.empty()) continue;
    // Older engines copy into a view of the rows instead.
    const bool stores = sets_rows || (node->op == api.op.cpy && touched.front().tensor == node);

    const auto begin_of = [](const Touched& t) { return OffsetIn(t.file->data(), RootOf(*t.tensor).data); };
    const bool belongs =
        !found.uses.empty() && (!reads || std::any_of(touched.begin(), touched.end(), [&](const Touched& t) {
          return Has(found.uses.back(), *t.file, begin_of(t));
        }));
    if (!belongs) {
      found.uses.emplace_back().before = i == 0 ? nullptr : api.graph_node(graph, i - 1);
      reads = false;
    }
    KvUse& use = found.uses.back();
    use.nodes.push_back(node);
    reads = reads || !stores;
    for (const Touched& t : touched) {
      KvPart& part = PartOf(use, *t.file, begin_of(t), api.nbytes(&RootOf(*t.tensor)));
      if (!sets_rows) AddPagesOf(api, *t.tensor, t.file->data(), part.pages);
    }
  }
  return found;
}

}  // namespace headrace
