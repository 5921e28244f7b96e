// The shapes of generated models: small ones for tests and benchmarks, and those of published models, exact in layers,
// widths, heads, experts and types of weights.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "weight_types.h"

namespace headrace::bench {

// What the engine's loader calls them.
enum class Architecture { kLlama, kQwen3Moe, kGemma3n, kGptOss, kGlm4Moe, kQwen3Next, kDeepseek2 };
const char* NameOf(Architecture architecture);

// What the routers of a mixture choose, token after token.
enum class ChoiceKind {
  kPopular,   // some experts are popular, and the token decides
  kDrifting,  // none stays popular; a subject decides that drifts over some hundred tokens, and the token (of kQwen3Moe
              // only)
};

struct ModelShape {
  std::string name;
  std::string about;  // one line for --help
  Architecture architecture = Architecture::kLlama;
  uint32_t layers = 0;
  uint32_t width = 0;         // embedding length
  uint32_t feed_forward = 0;  // of layers without experts
  uint32_t heads = 0;
  uint32_t heads_kv = 0;
  uint32_t vocabulary = 0;
  uint32_t head = 0;          // width of one head; 0: width / heads
  bool tied = false;          // no output.weight: the embedding is used twice
  uint32_t experts = 0;       // of each layer; 0: dense
  uint32_t experts_used = 0;  // by a token
  uint32_t expert_feed_forward = 0;
  uint32_t dense_layers = 0;  // the first ones, without experts
  uint32_t draft_layers = 0;  // behind the others, for proposing tokens
  bool head_copies =
      false;  // they pass the last token's embedding on, the largest part of each hidden state of a mixture: many
              // proposals are right, which says nothing about published models. Embedding and output are the model's.
  uint32_t context = 8192;
  uint32_t rope_dimensions = 0;  // of a head that are rotated; 0: all
  float rope_base = 10000;
  TypeMix types = TypeMix::kQ4_0;
  ChoiceKind choices = ChoiceKind::kPopular;

  uint32_t head_width() const { return head > 0 ? head : heads > 0 ? width / heads : 0; }
  uint32_t all_layers() const { return layers + draft_layers; }
};

// Instead of a preset's own numbers; 0: as the preset has it.
struct SmallerShape {
  uint32_t layers = 0, width = 0, feed_forward = 0, heads = 0, experts = 0, vocabulary = 0;
};

// Layers without experts, KV heads and draft layers keep their share: at least one layer has experts where the shape
// has any.
ModelShape Shrink(ModelShape shape, const SmallerShape& smaller);

// Those of this file and the published ones.
const std::vector<ModelShape>& Presets();
const std::vector<ModelShape>& PublishedShapes();
// Errors: kInvalidArgument, listing the presets.
Result<ModelShape> FindPreset(std::string_view name);

// A shape whose file with these types has about `bytes` bytes, of as many layers as that needs (at most
// 512, the engine's limit). Errors: kInvalidArgument when it would need none or more.
Result<ModelShape> ShapeOfSize(uint64_t bytes, TypeMix types);

}  // namespace headrace::bench
