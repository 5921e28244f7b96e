#include "exec/slot_product.h"

#include "base/size.h"

namespace headrace {

SlotProduct::SlotProduct(const GgmlApi& api)
    : api_(api),
      context_(api.init({64 * kKiB, nullptr, true})),
      graph_(api.new_graph_custom(context_, 8, false)),
      gather_(api, context_),
      scatter_(api, context_) {}

SlotProduct::~SlotProduct() { api_.free(context_); }

uint64_t SlotProduct::ScratchBytes(const ggml_tensor& node, size_t pairs) {
  if (pairs == static_cast<size_t>(node.ne[1] * node.ne[2])) return 0;
  return AlignUp(pairs * ColumnBytes(*node.src[1]), kReadAlignment) + pairs * ColumnBytes(node);
}

ggml_status SlotProduct::Multiply(ggml_backend_t backend, const ggml_tensor& node, const SlotArray& slots,
                                  const PackedLayout* layout, std::span<const Chosen> chosen, Rows rows,
                                  std::span<uint8_t> scratch) {
  const auto all = static_cast<size_t>(node.ne[1] * node.ne[2]);
  pairs_.clear();
  for (const Chosen& expert : chosen) pairs_.insert(pairs_.end(), expert.pairs.begin(), expert.pairs.end());
  const bool whole = pairs_.size() == all;
  slot_ids_.resize(pairs_.size());
  size_t at = 0;
  for (const Chosen& expert : chosen) {
    for (const ExpertPair& pair : expert.pairs) {
      slot_ids_[whole ? static_cast<size_t>(pair.token * node.ne[1] + pair.use) : at] =
          static_cast<int32_t>(expert.slot);
      ++at;
    }
  }

  const auto count = static_cast<int64_t>(rows.count);
  weight_ =
      TileOf(api_, *node.src[0], count, const_cast<uint8_t*>(slots.first) + rows.first * node.src[0]->nb[1], layout);
  weight_.ne[2] = slots.count;
  weight_.nb[2] = slots.stride;
  weight_.nb[3] = slots.stride * slots.count;
  columns_ = *node.src[1];
  product_ = node;
  product_.data = static_cast<uint8_t*>(node.data) + rows.first * node.nb[0];
  product_.ne[0] = count;
  ids_ = *node.src[2];
  for (ggml_tensor* tensor : {&columns_, &product_, &ids_}) tensor->view_src = nullptr;
  product_.op = api_.op.mul_mat_id;
  product_.flags |= api_.compute_flag;
  product_.src[0] = &weight_;
  product_.src[1] = &columns_;
  product_.src[2] = &ids_;
  ids_.data = slot_ids_.data();
  ids_.nb[0] = sizeof(int32_t);
  ids_.ne[0] = whole ? node.ne[1] : 1;
  ids_.ne[1] = whole ? node.ne[2] : static_cast<int64_t>(pairs_.size());
  ids_.nb[1] = sizeof(int32_t) * static_cast<size_t>(ids_.ne[0]);
  ids_.nb[2] = ids_.nb[3] = sizeof(int32_t) * pairs_.size();

  api_.graph_clear(graph_);
  if (whole) {
    api_.graph_add_node(graph_, &product_);
    return api_.backend_graph_compute(backend, graph_);
  }
  // Some of the pairs: each is a token of its own with one expert.
  const auto place = [&](ggml_tensor& tensor, uint8_t* data) {
    tensor.data = data;
    tensor.ne[1] = tensor.ne[3] = 1;
    tensor.ne[2] = static_cast<int64_t>(pairs_.size());
    tensor.nb[1] = tensor.nb[2] = ColumnBytes(tensor);
    tensor.nb[3] = tensor.nb[2] * pairs_.size();
  };
  place(columns_, scratch.data());
  place(product_, scratch.data() + AlignUp(pairs_.size() * ColumnBytes(*node.src[1]), kReadAlignment));
  api_.graph_add_node(
      graph_, gather_.Gather(*node.src[1], pairs_, ColumnBytes(columns_), static_cast<uint8_t*>(columns_.data)));
  api_.graph_add_node(graph_, &product_);
  api_.graph_add_node(graph_, scatter_.Scatter(node, pairs_, rows.first * node.nb[0], ColumnBytes(product_),
                                               static_cast<uint8_t*>(product_.data)));
  return api_.backend_graph_compute(backend, graph_);
}

}  // namespace headrace
