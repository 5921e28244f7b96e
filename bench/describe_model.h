// What a shape is in GGUF: metadata and tensors, with the names that llama.cpp has for them.
#pragma once

#include "base/status.h"
#include "gguf_writer.h"
#include "model_shape.h"

namespace headrace::bench {

inline constexpr uint32_t kMostLayers = 512;  // of the engine

// Errors: kInvalidArgument when a dimension does not fit the types' blocks, the heads or the tokenizer.
Result<GgufWriter> DescribeModel(const ModelShape& shape, TypeMix types);

}  // namespace headrace::bench
