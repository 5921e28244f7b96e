// Random weights in ggml's quantized layouts: cheap enough to be bound by the disk, and sane enough that
// a model made of them computes finite, varied logits.
#pragma once

#include <cstdint>

#include "gguf_writer.h"

namespace headrace::bench {

struct BlockLayout {
  uint32_t elements = 0;
  uint32_t bytes = 0;
};
BlockLayout BlockLayoutOf(TensorType type);

// Fills bytes [begin, begin + length) of a tensor into `out`. Quantized weights are symmetric around zero with
// the standard deviation 1/sqrt(row_elements), so that a product with a normalized vector has values of
// size one; F32 (norms) is all ones. Every byte depends on seed and position alone: ranges may be filled
// in any order, by any number of threads. Thread-safe.
void FillWeights(TensorType type, uint64_t row_elements, uint64_t seed, uint64_t begin, uint64_t length, uint8_t* out);

// The same for a router, F32, a row for each expert: uniform around zero. The rows' deviations, log-normal with
// kRouterSpread around 1/sqrt(row_elements), make some experts more popular than others; which of them a
// token chooses depends on the token.
inline constexpr double kRouterSpread = 0.25;
void FillRouter(TensorType type, uint64_t row_elements, uint64_t seed, uint64_t begin, uint64_t length, uint8_t* out);

// The bits of the IEEE half nearest to `value`, whose magnitude must not exceed the largest half.
uint16_t ToHalf(float value);

}  // namespace headrace::bench
