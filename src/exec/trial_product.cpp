#include "exec/trial_product.h"

#include <array>

namespace headrace {
namespace {

std::vector<float> Values(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 37 % 101) / 101.0f - 0.5f;
  return values;
}

ggml_tensor Describe(ggml_type type, size_t element_bytes, void* data, std::array<int64_t, 3> shape) {
  ggml_tensor tensor{};
  tensor.type = type;
  tensor.data = data;
  tensor.ne[3] = 1;
  tensor.nb[0] = element_bytes;
  for (size_t i = 0; i < 3; ++i) {
    tensor.ne[i] = shape[i];
    tensor.nb[i + 1] = tensor.nb[i] * static_cast<size_t>(shape[i]);
  }
  return tensor;
}

}  // namespace

TrialProduct::TrialProduct(const GgmlApi& api, const ggml_tensor& tile, int64_t count)
    : values(Values(tile.ne[0] * count)),
      result(static_cast<size_t>(tile.ne[1] * count)),
      weight(tile),
      columns(Describe(GGML_TYPE_F32, sizeof(float), values.data(), {tile.ne[0], count, 1})),
      node(Describe(GGML_TYPE_F32, sizeof(float), result.data(), {tile.ne[1], count, 1})) {
  node.op = api.op.mul_mat;
  node.flags = api.compute_flag;
  node.src[0] = &weight;
  node.src[1] = &columns;
}

TrialExperts::TrialExperts(const GgmlApi& api, const ggml_tensor& stack, int64_t tokens)
    : values(Values(stack.ne[0] * tokens)),
      result(static_cast<size_t>(stack.ne[1] * stack.ne[2] * tokens)),
      choices(static_cast<size_t>(stack.ne[2] * tokens)),
      weight(stack),
      columns(Describe(GGML_TYPE_F32, sizeof(float), values.data(), {stack.ne[0], 1, tokens})),
      ids(Describe(GGML_TYPE_I32, sizeof(int32_t), choices.data(), {stack.ne[2], tokens, 1})),
      node(Describe(GGML_TYPE_F32, sizeof(float), result.data(), {stack.ne[1], stack.ne[2], tokens})) {
  const auto n = static_cast<size_t>(stack.ne[2]);
  for (size_t i = 0; i < choices.size(); ++i) choices[i] = static_cast<int32_t>((i % n + i / n) % n);
  node.op = api.op.mul_mat_id;
  node.flags = api.compute_flag;
  node.src[0] = &weight;
  node.src[1] = &columns;
  node.src[2] = &ids;
}

}  // namespace headrace
