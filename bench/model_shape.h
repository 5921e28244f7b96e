// The shapes of generated models: Llama architecture, Qwen3-MoE with experts, Gemma 3n with embeddings for each layer, or GLM 4.5 with a draft head; named presets, and what
// they are in GGUF.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "gguf_writer.h"

namespace headrace::bench {

struct ModelShape {
  std::string name;
  std::string about;          // one line for --help
  uint32_t layers = 0;
  uint32_t width = 0;         // embedding length
  uint32_t feed_forward = 0;
  uint32_t heads = 0;
  uint32_t heads_kv = 0;
  uint32_t vocabulary = 0;
  bool tied = false;          // no output.weight: the embedding is used twice
  uint32_t experts = 0;       // of each layer; 0: dense
  uint32_t experts_used = 0;  // by a token; feed_forward is then the width of one expert
  bool layer_embeddings = false;  // a second table with a row for each token: 256 elements for each layer
  bool draft_head = false;    // one block more, which drafts (head_shape.h)
};

// llama-4g, mid, tiny, huge-output, moe-5g, moe-tiny, rows-8g, rows-tiny, head-5g, head-tiny.
const std::vector<ModelShape>& Presets();
// Errors: kInvalidArgument, listing the presets.
Result<ModelShape> FindPreset(std::string_view name);

// A shape whose file with this matrix type has about `bytes` bytes, of as many layers as that needs (at most
// 512, the engine's limit). Errors: kInvalidArgument when it would need none or more.
Result<ModelShape> ShapeOfSize(uint64_t bytes, TensorType matrices);

// Q4_0 or Q4_K for the matrices; Q4_K comes with a Q6_K output as in llama.cpp's own Q4_K files.
// Errors: kInvalidArgument when a dimension does not fit the type's blocks, the heads or the tokenizer.
Result<GgufWriter> DescribeModel(const ModelShape& shape, TensorType matrices);

}  // namespace headrace::bench
