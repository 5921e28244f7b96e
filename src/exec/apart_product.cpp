#include "exec/apart_product.h"

#include <algorithm>

#include "base/size.h"
#include "plan/residency.h"

namespace headrace {
namespace {

// Of one part's results: each product converts the columns anew. With 1 MiB (512 rows and columns) a prompt with Q6_K
// on AMX took an eighth longer.
constexpr uint64_t kResultBytes = 4 * kMiB;

}  // namespace

ApartProduct::ApartProduct(const GgmlApi& api, ggml_context* context) : api_(api) {
  for (size_t i = 0; i < kNodes / 2; ++i) parts_.emplace_back(api, context);
  next_ = parts_.begin();
}

ggml_status ApartProduct::Multiply(ggml_backend_t backend, ggml_cgraph* graph, const ggml_tensor& product,
                                   uint64_t row_bytes) {
  const ggml_tensor &weight = *product.src[0], &columns = *product.src[1];
  const auto rows = static_cast<uint64_t>(product.ne[0]), count = static_cast<uint64_t>(product.ne[1]);
  for (auto column = static_cast<int32_t>(columns_.size()); static_cast<uint64_t>(column) < count; ++column)
    columns_.push_back({0, column});
  const uint64_t step =
      std::min(rows, std::max(kRowGroup, AlignDown(kResultBytes / (count * sizeof(float)), kRowGroup)));
  if (results_.size() < step * count) results_.resize(step * count);

  const auto plane_of = [](const ggml_tensor& tensor, int64_t i2, int64_t i3) {
    ggml_tensor plane = tensor;
    plane.data = static_cast<uint8_t*>(tensor.data) + static_cast<size_t>(i2) * tensor.nb[2] +
                 static_cast<size_t>(i3) * tensor.nb[3];
    plane.ne[2] = plane.ne[3] = 1;
    plane.view_src = nullptr;
    return plane;
  };
  for (int64_t plane = 0; plane < product.ne[2] * product.ne[3]; ++plane) {
    const int64_t i2 = plane % product.ne[2], i3 = plane / product.ne[2];
    for (uint64_t row = 0; row < rows; row += step) {
      Part& part = *next_;
      const uint64_t take = std::min(step, rows - row);
      part.weight = weight;
      part.weight.data = static_cast<uint8_t*>(weight.data) + row * row_bytes;
      part.weight.ne[1] = static_cast<int64_t>(take);
      part.weight.nb[2] = part.weight.nb[3] = weight.nb[1] * take;
      part.columns = plane_of(columns, i2, i3);
      part.product = plane_of(product, i2, i3);
      part.product.data = results_.data();
      part.product.ne[0] = static_cast<int64_t>(take);
      part.product.nb[1] = take * sizeof(float);
      part.product.nb[2] = part.product.nb[3] = part.product.nb[1] * count;
      part.product.src[0] = &part.weight;
      part.product.src[1] = &part.columns;
      part.target = plane_of(product, i2, i3);
      part.target.ne[1] = 1;
      part.target.nb[2] = product.nb[1];
      api_.graph_add_node(graph, &part.product);
      api_.graph_add_node(graph, part.copy.Scatter(part.target, {columns_.data(), count}, row * sizeof(float),
                                                   take * sizeof(float), reinterpret_cast<uint8_t*>(results_.data())));
      if (++next_ != parts_.end()) continue;
      if (const ggml_status status = Flush(backend, graph); status != GGML_STATUS_SUCCESS) return status;
    }
  }
  return next_ == parts_.begin() ? GGML_STATUS_SUCCESS : Flush(backend, graph);
}

ggml_status ApartProduct::Flush(ggml_backend_t backend, ggml_cgraph* graph) {
  const ggml_status status = api_.backend_graph_compute(backend, graph);
  api_.graph_clear(graph);
  next_ = parts_.begin();
  return status;
}

}  // namespace headrace
