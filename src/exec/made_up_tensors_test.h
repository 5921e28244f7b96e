// For the tests of this folder: an engine that knows F32 tensors alone, and their shapes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "exec/ggml_api.h"

namespace headrace {

inline GgmlApi MadeUpApi() {
  GgmlApi api;
  api.op.mul_mat = GGML_OP_MUL_MAT;
  api.op.mul_mat_id = GGML_OP_MUL_MAT_ID;
  api.nbytes = [](const ggml_tensor* tensor) { return tensor->nb[3]; };
  api.row_size = [](ggml_type, int64_t elements) { return static_cast<size_t>(elements) * sizeof(float); };
  return api;
}

// The extents that are not given are 1.
inline void Shape(ggml_tensor& tensor, std::initializer_list<int64_t> extents) {
  std::fill_n(tensor.ne, GGML_MAX_DIMS, 1);
  std::copy(extents.begin(), extents.end(), tensor.ne);
  tensor.nb[0] = sizeof(float);
  for (int i = 1; i < GGML_MAX_DIMS; ++i) tensor.nb[i] = tensor.nb[i - 1] * static_cast<size_t>(tensor.ne[i - 1]);
}

}  // namespace headrace
