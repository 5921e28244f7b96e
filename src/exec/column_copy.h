// Copies columns between the places that a MUL_MAT_ID node gives them and consecutive ones, by all threads of
// a backend: a custom operation in the same small graph as the product.
#pragma once

#include <cstdint>
#include <span>

#include "exec/ggml_api.h"
#include "exec/router_choice.h"

namespace headrace {

// Where a token's column for one of its experts begins, in a tensor [.., per token or 1, tokens].
uint8_t* ColumnAt(const ggml_tensor& tensor, const ExpertPair& pair);

// Bytes of one column of it.
uint64_t ColumnBytes(const ggml_tensor& tensor);

class ColumnCopy {
 public:
  // `context` makes the node and outlives it. The object must not move.
  ColumnCopy(const GgmlApi& api, ggml_context* context);
  ColumnCopy(const ColumnCopy&) = delete;
  ColumnCopy& operator=(const ColumnCopy&) = delete;

  // Bytes [offset, offset + bytes) of the pairs' columns in `tensor` to or from `consecutive`, one behind the other.
  // All must live until the node has been computed.
  ggml_tensor* Gather(const ggml_tensor& tensor, std::span<const ExpertPair> pairs, uint64_t bytes,
                      uint8_t* consecutive);
  ggml_tensor* Scatter(const ggml_tensor& tensor, std::span<const ExpertPair> pairs, uint64_t offset, uint64_t bytes,
                       uint8_t* consecutive);

 private:
  static void Run(ggml_tensor* result, const ggml_tensor* source, int thread, int threads, void* self);

  ggml_tensor* node_;
  const ggml_tensor* tensor_ = nullptr;
  std::span<const ExpertPair> pairs_;
  uint64_t offset_ = 0;
  uint64_t bytes_ = 0;
  uint8_t* consecutive_ = nullptr;
  bool gather_ = false;
};

}  // namespace headrace
