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
// the standard deviation gain/sqrt(row_elements), so that (with a gain of one) a product with a normalized vector has
// values of size one; F32 is uniform around the filling's mean. Every byte depends on seed and position alone: ranges
// may be filled in any order, by any number of threads. Thread-safe.
void FillWeights(TensorType type, uint64_t row_elements, uint64_t seed, uint64_t begin, uint64_t length, uint8_t* out,
                 const Filling& filling = {});

// F32 with the same deviation: of routers, and of others that multiply.
Filling RandomFloats(uint64_t row_elements);

// The bits of the IEEE half nearest to `value`, whose magnitude must not exceed the largest half.
uint16_t ToHalf(float value);

}  // namespace headrace::bench
