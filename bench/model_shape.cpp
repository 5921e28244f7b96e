#include "model_shape.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/size.h"
#include "describe_model.h"

namespace headrace::bench {
namespace {

// With the shape of Llama 3.1 405B a layer is 15 times as large as with that of Llama 8B: the first gives
// hundreds of gigabytes in a few hundred layers.
const ModelShape kLargeLayers = {.name = "sparse",
                                 .about = "",
                                 .width = 16384,
                                 .feed_forward = 53248,
                                 .heads = 128,
                                 .heads_kv = 8,
                                 .vocabulary = 32000};
const ModelShape kSmallLayers = {.name = "sparse",
                                 .about = "",
                                 .width = 4096,
                                 .feed_forward = 14336,
                                 .heads = 32,
                                 .heads_kv = 8,
                                 .vocabulary = 32000};

std::vector<ModelShape> OwnShapes() {
  constexpr Architecture kMixture = Architecture::kQwen3Moe, kRows = Architecture::kGemma3n,
                         kHead = Architecture::kGlm4Moe;
  return {
      {.name = "llama-4g",
       .about = "the shape of Llama 8B with 32000 tokens, 7.2 B parameters, 3.8 GiB",
       .layers = 32,
       .width = 4096,
       .feed_forward = 14336,
       .heads = 32,
       .heads_kv = 8,
       .vocabulary = 32000},
      {.name = "mid",
       .about = "4 layers of the same, 630 MiB",
       .layers = 4,
       .width = 4096,
       .feed_forward = 14336,
       .heads = 32,
       .heads_kv = 8,
       .vocabulary = 32000},
      {.name = "tiny",
       .about = "4 small layers for tests, 8 MiB",
       .layers = 4,
       .width = 512,
       .feed_forward = 1536,
       .heads = 8,
       .heads_kv = 2,
       .vocabulary = 2048},
      {.name = "draft-160m",
       .about = "a draft for llama-4g and mid: 12 layers, 768 wide, 32000 tokens, 91 MiB",
       .layers = 12,
       .width = 768,
       .feed_forward = 3072,
       .heads = 12,
       .heads_kv = 12,
       .vocabulary = 32000},
      {.name = "moe-5g",
       .about = "16 layers of 128 experts, 8 used, 2048 wide, 5.2 GiB",
       .architecture = kMixture,
       .layers = 16,
       .width = 2048,
       .feed_forward = 768,
       .heads = 16,
       .heads_kv = 4,
       .vocabulary = 32000,
       .experts = 128,
       .experts_used = 8,
       .expert_feed_forward = 768},
      {.name = "moe-512",
       .about = "12 layers of 512 experts, 10 used, 2048 wide, 5.4 GiB, with --choices drifting",
       .architecture = kMixture,
       .layers = 12,
       .width = 2048,
       .feed_forward = 256,
       .heads = 16,
       .heads_kv = 4,
       .vocabulary = 32000,
       .experts = 512,
       .experts_used = 10,
       .expert_feed_forward = 256,
       .choices = ChoiceKind::kDrifting},
      {.name = "moe-tiny",
       .about = "4 layers of 16 experts, 2 used, for tests, 6 MiB",
       .architecture = kMixture,
       .layers = 4,
       .width = 512,
       .feed_forward = 256,
       .heads = 8,
       .heads_kv = 2,
       .vocabulary = 2048,
       .experts = 16,
       .experts_used = 2,
       .expert_feed_forward = 256},
      {.name = "huge-output",
       .about = "2 layers and an output of 128256 x 8192, 1.5 GiB",
       .layers = 2,
       .width = 8192,
       .feed_forward = 8192,
       .heads = 64,
       .heads_kv = 8,
       .vocabulary = 128256},
      {.name = "rows-8g",
       .about = "embeddings for each of 35 layers as in Gemma 3n E4B, of 917504 tokens, on a small model; with --type "
                "q8_0 8.4 GiB",
       .architecture = kRows,
       .layers = 35,
       .width = 256,
       .feed_forward = 512,
       .heads = 4,
       .heads_kv = 2,
       .vocabulary = 917504,
       .tied = true},
      {.name = "rows-tiny",
       .about = "the same of 4 layers and 32768 tokens, for tests, with --type q8_0 46 MiB",
       .architecture = kRows,
       .layers = 4,
       .width = 256,
       .feed_forward = 512,
       .heads = 4,
       .heads_kv = 2,
       .vocabulary = 32768,
       .tied = true},
      {.name = "head-5g",
       .about = "moe-5g with a draft head as in GLM 4.5, 5.6 GiB",
       .architecture = kHead,
       .layers = 16,
       .width = 2048,
       .heads = 16,
       .heads_kv = 4,
       .vocabulary = 32000,
       .experts = 128,
       .experts_used = 8,
       .expert_feed_forward = 768,
       .draft_layers = 1,
       .head_copies = true},
      {.name = "head-tiny",
       .about = "moe-tiny with a draft head, and no token without a text, for tests, 20 MiB",
       .architecture = kHead,
       .layers = 4,
       .width = 512,
       .heads = 8,
       .heads_kv = 2,
       .vocabulary = 265,
       .experts = 16,
       .experts_used = 2,
       .expert_feed_forward = 256,
       .draft_layers = 1,
       .head_copies = true},
  };
}

uint64_t FileBytes(const GgufWriter& writer) { return writer.DataOffset() + writer.DataBytes(); }

}  // namespace

const char* NameOf(Architecture architecture) {
  switch (architecture) {
    case Architecture::kLlama:
      return "llama";
    case Architecture::kQwen3Moe:
      return "qwen3moe";
    case Architecture::kGemma3n:
      return "gemma3n";
    case Architecture::kGptOss:
      return "gpt-oss";
    case Architecture::kGlm4Moe:
      return "glm4moe";
    case Architecture::kQwen3Next:
      return "qwen3next";
    case Architecture::kDeepseek2:
      return "deepseek2";
  }
  return "";
}

const std::vector<ModelShape>& Presets() {
  static const std::vector<ModelShape> presets = [] {
    std::vector<ModelShape> all = OwnShapes();
    all.insert(all.end(), PublishedShapes().begin(), PublishedShapes().end());
    return all;
  }();
  return presets;
}

Result<ModelShape> FindPreset(std::string_view name) {
  std::string known;
  for (const ModelShape& shape : Presets()) {
    if (shape.name == name) return shape;
    known += (known.empty() ? "" : ", ") + shape.name;
  }
  return Status(Code::kInvalidArgument, fmt::format("no preset '{}'; there are {} and sparse", name, known));
}

ModelShape Shrink(ModelShape shape, const SmallerShape& smaller) {
  if (smaller.layers > 0) {
    shape.layers = smaller.layers;
    if (shape.experts > 0) shape.dense_layers = std::min(shape.dense_layers, smaller.layers - 1);
  }
  if (smaller.heads > 0 && shape.heads > 0) {
    shape.heads_kv =
        std::max(uint32_t{1}, static_cast<uint32_t>(uint64_t{shape.heads_kv} * smaller.heads / shape.heads));
    shape.heads = smaller.heads;
  }
  if (smaller.width > 0) shape.width = smaller.width;
  if (smaller.feed_forward > 0) shape.feed_forward = smaller.feed_forward;
  if (smaller.feed_forward > 0 && shape.experts > 0) shape.expert_feed_forward = smaller.feed_forward;
  if (smaller.experts > 0 && shape.experts > 0) {
    shape.experts = smaller.experts;
    shape.experts_used = std::min(shape.experts_used, smaller.experts);
  }
  if (smaller.vocabulary > 0) shape.vocabulary = smaller.vocabulary;
  return shape;
}

Result<ModelShape> ShapeOfSize(uint64_t bytes, TypeMix types) {
  for (const ModelShape& base : {kSmallLayers, kLargeLayers}) {
    ModelShape one = base, two = base;
    one.layers = 1;
    two.layers = 2;
    const auto first = DescribeModel(one, types), second = DescribeModel(two, types);
    if (!first.ok()) return first.status();
    if (!second.ok()) return second.status();
    const uint64_t per_layer = FileBytes(*second) - FileBytes(*first);
    const uint64_t fixed = FileBytes(*first) - per_layer;
    const uint64_t layers = bytes <= fixed ? 0 : (bytes - fixed + per_layer / 2) / per_layer;
    if (layers == 0) {
      return Status(Code::kInvalidArgument, fmt::format("{} is too small for this shape: ask for {} or more",
                                                        FormatSize(bytes), FormatSize(fixed + per_layer)));
    }
    if (layers > kMostLayers) continue;
    one.layers = static_cast<uint32_t>(layers);
    return one;
  }
  return Status(Code::kInvalidArgument,
                fmt::format("{} would need more than {} layers, the engine's limit: ask for 800G or less",
                            FormatSize(bytes), kMostLayers));
}

}  // namespace headrace::bench
