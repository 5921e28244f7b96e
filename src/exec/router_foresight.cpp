#include "exec/router_foresight.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace headrace {
namespace {

constexpr int kMostSteps = 24;

bool IsOneForEach(const ggml_tensor* tensor, int64_t experts) {
  return tensor != nullptr && tensor->type == GGML_TYPE_F32 && tensor->ne[0] == experts && tensor->ne[1] == 1 && tensor->ne[2] == 1 &&
         tensor->op == GGML_OP_NONE && tensor->data != nullptr;
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

std::vector<uint32_t> ForeseeExperts(Product& product, ggml_backend_t backend, const RouterPath& path, const Weight& router,
                                     const ggml_tensor& hidden, size_t count) {
  const int64_t experts = router.tensor.ne[1];
  if (path.product == nullptr || router.resident_rows != router.cut.rows || router.tensor.ne[0] != hidden.ne[0]) return {};
  std::vector<float> scores(static_cast<size_t>(experts));
  ggml_tensor columns = hidden, node = *path.product;
  columns.view_src = nullptr;
  node.view_src = nullptr;
  for (int i = 1; i < GGML_MAX_DIMS; ++i) columns.ne[i] = node.ne[i] = 1;
  node.nb[0] = sizeof(float);
  node.nb[1] = node.nb[2] = node.nb[3] = scores.size() * sizeof(float);
  node.data = scores.data();
  ggml_tensor weight = router.tensor;
  node.src[0] = &weight;
  node.src[1] = &columns;
  auto* rows = const_cast<std::byte*>(router.storage.data());
  if (product.Multiply(backend, node, 0, router.cut.rows, rows, router.layout, nullptr) != GGML_STATUS_SUCCESS) return {};
  for (const RouterPath::Step& step : path.steps) {
    const auto* bias = step.bias == nullptr ? nullptr : static_cast<const float*>(step.bias->data);
    for (size_t i = 0; i < scores.size(); ++i) {
      if (step.sigmoid) scores[i] = 1 / (1 + std::exp(-scores[i]));
      if (bias != nullptr) scores[i] += bias[i];
    }
  }
  std::vector<uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0u);
  count = std::min(count, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  order.resize(count);
  return order;
}

}  // namespace headrace
