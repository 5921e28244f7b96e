// Products of a few rows of a real weight with made-up columns, for checks and measurements of the engine's kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/ggml_api.h"

namespace headrace {

// A MUL_MAT node: a 2-D tile times some columns. Not copyable: the tensors point at each other.
struct TrialProduct {
  TrialProduct(const GgmlApi& api, const ggml_tensor& tile, int64_t columns);
  TrialProduct(const TrialProduct&) = delete;
  TrialProduct& operator=(const TrialProduct&) = delete;

  std::vector<float> values, result;
  ggml_tensor weight, columns, node;
};

// A MUL_MAT_ID node: a stack of matrices, one behind the other, times some tokens that choose all of them, in changing
// order.
struct TrialExperts {
  TrialExperts(const GgmlApi& api, const ggml_tensor& stack, int64_t tokens);
  TrialExperts(const TrialExperts&) = delete;
  TrialExperts& operator=(const TrialExperts&) = delete;

  std::vector<float> values, result;
  std::vector<int32_t> choices;
  ggml_tensor weight, columns, ids, node;
};

}  // namespace headrace
