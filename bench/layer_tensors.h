// The tensors of generated models, layer by layer.
#pragma once

#include <string>
#include <vector>

#include "gguf_writer.h"
#include "model_shape.h"

namespace headrace::bench {

// Adds all tensors of the shape. Routers see the hidden state; what makes their choices look as published models' is
// said there.
void AddTensors(const ModelShape& shape, TypeMix types, GgufWriter& writer);

// Of drifting choices: positions are divided by this before heads are rotated, so that attention cannot tell some tens
// of tokens apart.
inline constexpr float kSubjectTokens = 64;

// Parts of it that have numbers of their own.
inline constexpr uint32_t kSlidingWindow = 128;  // gpt-oss
inline constexpr uint32_t kQueryRank = 1536, kKeyValueRank = 512,
                          kPlainHead = 128,  // DeepSeek V3: attention through narrow vectors
    kRotatedHead = 64, kExpertGroups = 8, kExpertGroupsUsed = 4;
inline constexpr uint32_t kFullAttentionInterval = 4, kStateSize = 128,
                          kConvolution = 4;  // Qwen3-Next: one layer of 4 has attention
// Its linear attention has as many key heads as attention has heads, and twice as many value heads.

}  // namespace headrace::bench
