#include "exec/router_foresight.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/size.h"

namespace headrace {
namespace {

constexpr int kMostSteps = 24;

bool IsOneForEach(const ggml_tensor* tensor, int64_t experts) {
  return tensor != nullptr && tensor->type == GGML_TYPE_F32 && tensor->ne[0] == experts && tensor->ne[1] == 1 &&
         tensor->ne[2] == 1 && tensor->op == GGML_OP_NONE && tensor->data != nullptr;
}

}  // namespace

RouterPath FindRouter(const GgmlApi& api, const ggml_tensor& ids, uint32_t experts) {
  RouterPath path;
  if (api.sigmoid_op < 0) return path;
  const ggml_tensor* at = &ids;
  for (int step = 0; step < kMostSteps && at != nullptr; ++step) {
    if (at->op == api.op.mul_mat) {
      if (at->src[0]->ne[1] == experts && at->src[0]->ne[2] == 1) path.product = at;
      break;
    }
    if (at->op == api.op.unary && at->op_params[0] == api.sigmoid_op) path.steps.push_back({true, nullptr});
    if (at->op == api.op.add && IsOneForEach(at->src[1], experts)) path.steps.push_back({false, at->src[1]});
    at = at->src[0] != nullptr ? at->src[0] : at->view_src;
  }
  std::reverse(path.steps.begin(), path.steps.end());
  return path;
}

bool Foresight::Begin(const RouterPath& path, const Weight& router, const ggml_tensor& hidden, size_t most_pieces) {
  pieces_ = 0;
  if (path.product == nullptr || router.resident_rows != router.cut.rows || router.tensor.ne[0] != hidden.ne[0])
    return false;
  path_ = &path;
  router_ = &router;
  scores_.resize(static_cast<size_t>(router.tensor.ne[1]));
  columns_ = hidden;
  node_ = *path.product;
  weight_ = router.tensor;
  columns_.view_src = node_.view_src = nullptr;
  for (int i = 1; i < GGML_MAX_DIMS; ++i) columns_.ne[i] = node_.ne[i] = 1;
  node_.nb[0] = sizeof(float);
  node_.nb[1] = node_.nb[2] = node_.nb[3] = scores_.size() * sizeof(float);
  const uint64_t rows = router.cut.rows;
  piece_rows_ = router.cut.by_rows ? AlignUp((rows + most_pieces - 1) / most_pieces, kRowGroup) : rows;
  pieces_ = (rows + piece_rows_ - 1) / piece_rows_;
  return true;
}

ggml_status Foresight::Multiply(size_t piece, Product& product, ggml_backend_t backend) {
  ggml_tensor node = node_;
  node.data = scores_.data();
  ggml_tensor weight = weight_, columns = columns_;
  node.src[0] = &weight;
  node.src[1] = &columns;
  const uint64_t first = piece * piece_rows_;
  return product.Multiply(backend, node, first, std::min(piece_rows_, router_->cut.rows - first),
                          router_->ResidentRow(first), router_->layout, nullptr);
}

std::vector<uint32_t> Foresight::Best(size_t count) {
  for (const RouterPath::Step& step : path_->steps) {
    const auto* bias = step.bias == nullptr ? nullptr : static_cast<const float*>(step.bias->data);
    for (size_t i = 0; i < scores_.size(); ++i) {
      if (step.sigmoid) scores_[i] = 1 / (1 + std::exp(-scores_[i]));
      if (bias != nullptr) scores_[i] += bias[i];
    }
  }
  std::vector<uint32_t> order(scores_.size());
  std::iota(order.begin(), order.end(), 0u);
  count = std::min(count, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](uint32_t a, uint32_t b) { return scores_[a] > scores_[b]; });
  order.resize(count);
  return order;
}

}  // namespace headrace
