#include "exec/row_lookup.h"

#include "base/size.h"
#include "exec/product.h"

namespace headrace {
namespace {

bool IsList(const ggml_tensor& tensor) { return tensor.ne[1] == 1 && tensor.ne[2] == 1 && tensor.ne[3] == 1; }

// The common kind: a matrix, a list of numbers, a column of the result for each.
bool IsPlain(const GgmlApi& api, const ggml_tensor& node) {
  const ggml_tensor *table = node.src[0], *numbers = node.src[1];
  if (table == nullptr || numbers == nullptr || table->data == nullptr) return false;
  return table->ne[2] == 1 && table->ne[3] == 1 && CutOf(api, *table).by_rows && table->ne[1] < INT32_MAX &&
         numbers->type == GGML_TYPE_I32 && IsList(*numbers) && numbers->ne[0] > 0 && node.ne[0] == table->ne[0] &&
         node.ne[1] == numbers->ne[0] && node.ne[2] == 1 && node.ne[3] == 1;
}

}  // namespace

std::vector<Lookup> FindLookups(const GgmlApi& api, ggml_backend_sched_t sched, ggml_cgraph* graph,
                                const MappingTable& mappings) {
  std::vector<Lookup> lookups;
  if (api.op.get_rows == GgmlOps::kNoOp) return lookups;
  const int nodes = api.graph_n_nodes(graph);
  for (int i = 0; i < nodes; ++i) {
    ggml_tensor* node = api.graph_node(graph, i);
    if (node->op != api.op.get_rows || !api.Computes(*node) || !IsPlain(api, *node)) continue;
    auto origin = mappings.Find(node->src[0]->data, api.nbytes(node->src[0]));
    if (!origin) continue;
    ggml_backend_t backend = api.backend_sched_get_tensor_backend(sched, node);
    if (backend == nullptr || api.backend_dev_type(api.backend_get_device(backend)) != GGML_BACKEND_DEVICE_TYPE_CPU)
      continue;
    lookups.push_back({node, i == 0 ? nullptr : api.graph_node(graph, i - 1), i, backend, nullptr, std::move(*origin)});
  }
  return lookups;
}

bool RowNumbers(const Lookup& lookup, std::vector<uint32_t>& rows) {
  const ggml_tensor &table = *lookup.node->src[0], &numbers = *lookup.node->src[1];
  rows.clear();
  if (numbers.data == nullptr) return false;
  for (int64_t i = 0; i < numbers.ne[0]; ++i) {
    const int32_t row = *reinterpret_cast<const int32_t*>(static_cast<const uint8_t*>(numbers.data) +
                                                          static_cast<size_t>(i) * numbers.nb[0]);
    if (row < 0 || row >= table.ne[1]) return false;
    rows.push_back(static_cast<uint32_t>(row));
  }
  return true;
}

bool KnownBefore(const GgmlApi& api, const Lookup& lookup) {
  const ggml_tensor& numbers = *lookup.node->src[1];
  return numbers.op == GGML_OP_NONE && (numbers.flags & GGML_TENSOR_FLAG_INPUT) != 0 && numbers.data != nullptr &&
         numbers.buffer != nullptr && api.backend_buffer_is_host(numbers.buffer);
}

RowGather::RowGather(const GgmlApi& api)
    : api_(api), context_(api.init({16 * kKiB, nullptr, true})), graph_(api.new_graph_custom(context_, 4, false)) {}

RowGather::~RowGather() { api_.free(context_); }

ggml_status RowGather::Compute(ggml_backend_t backend) {
  result_.op = api_.op.get_rows;
  result_.flags |= api_.compute_flag;
  result_.src[0] = &table_;
  result_.src[1] = &numbers_;
  api_.graph_clear(graph_);
  api_.graph_add_node(graph_, &result_);
  return api_.backend_graph_compute(backend, graph_);
}

ggml_status RowGather::FromSlots(ggml_backend_t backend, const Lookup& lookup, uint64_t first,
                                 std::span<const int32_t> slots) {
  const RowTable& table = *lookup.table;
  const auto count = static_cast<int64_t>(slots.size());
  table_ = table.tensor;
  table_.data = table.slots;
  table_.ne[1] = table.most_slots;
  table_.nb[1] = table.stride;
  table_.nb[2] = table_.nb[3] = table.stride * table.most_slots;
  numbers_ = *lookup.node->src[1];
  numbers_.op = GGML_OP_NONE;
  numbers_.data = const_cast<int32_t*>(slots.data());
  numbers_.ne[0] = count;
  numbers_.nb[0] = sizeof(int32_t);
  numbers_.nb[1] = numbers_.nb[2] = numbers_.nb[3] = slots.size_bytes();
  result_ = *lookup.node;
  result_.data = static_cast<uint8_t*>(result_.data) + first * result_.nb[1];
  result_.ne[1] = count;
  for (ggml_tensor* tensor : {&table_, &numbers_, &result_}) tensor->view_src = nullptr;
  return Compute(backend);
}

ggml_status RowGather::FromMapping(ggml_backend_t backend, const Lookup& lookup) {
  table_ = *lookup.node->src[0];
  numbers_ = *lookup.node->src[1];
  numbers_.op = GGML_OP_NONE;
  result_ = *lookup.node;
  for (ggml_tensor* tensor : {&table_, &numbers_, &result_}) tensor->view_src = nullptr;
  return Compute(backend);
}

}  // namespace headrace
