#include "model_shape.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/size.h"
#include "head_shape.h"
#include "random_weights.h"
#include "vocabulary.h"

namespace headrace::bench {
namespace {

constexpr uint32_t kMostLayers = 512;

// Calibrated so that a layer's choices look as published ones of 128 experts, 8 used (docs/benchmarks.md).
constexpr double kPopularShare = 0.55;
constexpr double kResidualGain = 0.1;

// With the shape of Llama 3.1 405B a layer is 15 times as large as with that of Llama 8B: the first gives
// hundreds of gigabytes in a few hundred layers.
const ModelShape kLargeLayers = {"sparse", "", 0, 16384, 53248, 128, 8, 32000, false};
const ModelShape kSmallLayers = {"sparse", "", 0, 4096, 14336, 32, 8, 32000, false};

// llama_ftype: what llama.cpp shows as the file's type.
uint32_t FileTypeOf(TensorType matrices) {
  switch (matrices) {
    case TensorType::kF32: return 0;
    case TensorType::kQ4_0: return 2;
    case TensorType::kQ8_0: return 7;
    case TensorType::kQ4_K: return 14;
    case TensorType::kQ6_K: return 18;
  }
  return 0;
}

// What the engine's loader takes for granted of Gemma 3n.
constexpr uint64_t kLayerEmbedding = 256, kAltups = 4, kLaurelRank = 64;

// Gemma 3n: a hidden state in four versions, one of which goes through each layer; and what a token's row of the second table adds to each layer.
void AddGemma3n(const ModelShape& shape, TensorType matrices, GgufWriter& writer) {
  constexpr TensorType kF32 = TensorType::kF32;
  const uint64_t width = shape.width, feed_forward = shape.feed_forward, head = width / shape.heads, width_kv = head * shape.heads_kv;
  const uint64_t embeddings = kLayerEmbedding * shape.layers;
  writer.AddTensor("token_embd.weight", matrices, {width, shape.vocabulary});
  writer.AddTensor("per_layer_token_embd.weight", matrices, {embeddings, shape.vocabulary});
  writer.AddTensor("per_layer_model_proj.weight", matrices, {width, embeddings});
  writer.AddTensor("per_layer_proj_norm.weight", kF32, {kLayerEmbedding});
  writer.AddTensor("altup_proj.weight", matrices, {width, width, kAltups - 1});
  writer.AddTensor("altup_unembd_proj.weight", matrices, {width, width, kAltups - 1});
  for (uint32_t i = 0; i < shape.layers; ++i) {
    const auto add = [&](const char* part, TensorType type, std::vector<uint64_t> dimensions) {
      writer.AddTensor(fmt::format("blk.{}.{}.weight", i, part), type, std::move(dimensions));
    };
    add("attn_norm", kF32, {width});
    add("attn_q", matrices, {width, width});
    add("attn_k", matrices, {width, width_kv});
    add("attn_v", matrices, {width, width_kv});
    add("attn_output", matrices, {width, width});
    add("attn_q_norm", kF32, {head});
    add("attn_k_norm", kF32, {head});
    add("post_attention_norm", kF32, {width});
    add("ffn_norm", kF32, {width});
    add("ffn_gate", matrices, {width, feed_forward});
    add("ffn_up", matrices, {width, feed_forward});
    add("ffn_down", matrices, {feed_forward, width});
    add("post_ffw_norm", kF32, {width});
    add("inp_gate", matrices, {width, kLayerEmbedding});
    add("proj", matrices, {kLayerEmbedding, width});
    add("post_norm", kF32, {width});
    add("altup_correct_coef", kF32, {kAltups, kAltups});
    add("altup_correct_scale", kF32, {width});
    add("altup_predict_coef", kF32, {kAltups, kAltups * kAltups});
    add("altup_router", kF32, {width, kAltups});
    add("altup_router_norm", kF32, {width});
    add("laurel_l", matrices, {width, kLaurelRank});
    add("laurel_r", matrices, {kLaurelRank, width});
    add("laurel_post_norm", kF32, {width});
  }
  writer.AddTensor("output_norm.weight", kF32, {width});
}

uint64_t FileBytes(const GgufWriter& writer) { return writer.DataOffset() + writer.DataBytes(); }

}  // namespace

const std::vector<ModelShape>& Presets() {
  static const std::vector<ModelShape> presets = {
      {"llama-4g", "the shape of Llama 8B with 32000 tokens, 7.2 B parameters, 3.8 GiB", 32, 4096, 14336, 32, 8, 32000, false},
      {"mid", "4 layers of the same, 630 MiB", 4, 4096, 14336, 32, 8, 32000, false},
      {"tiny", "4 small layers for tests, 8 MiB", 4, 512, 1536, 8, 2, 2048, false},
      {"draft-160m", "a draft for llama-4g and mid: 12 layers, 768 wide, 32000 tokens, 91 MiB", 12, 768, 3072, 12, 12, 32000, false},
      {"moe-5g", "16 layers of 128 experts, 8 used, 2048 wide, 5.2 GiB", 16, 2048, 768, 16, 4, 32000, false, 128, 8},
      {"moe-tiny", "4 layers of 16 experts, 2 used, for tests, 6 MiB", 4, 512, 256, 8, 2, 2048, false, 16, 2},
      {"huge-output", "2 layers and an output of 128256 x 8192, 1.5 GiB", 2, 8192, 8192, 64, 8, 128256, false},
      {"rows-8g", "embeddings for each of 35 layers as in Gemma 3n E4B, of 917504 tokens, on a small model; with --type q8_0 8.4 GiB", 35, 256, 512, 4, 2, 917504,
       true, 0, 0, true},
      {"rows-tiny", "the same of 4 layers and 32768 tokens, for tests, with --type q8_0 46 MiB", 4, 256, 512, 4, 2, 32768, true, 0, 0, true},
      {"head-5g", "moe-5g with a draft head as in GLM 4.5: 17 blocks, 5.6 GiB", 16, 2048, 768, 16, 4, 32000, false, 128, 8, false, true},
      {"head-tiny", "moe-tiny with a draft head, and no token without a text, for tests, 20 MiB", 4, 512, 256, 8, 2, 265, false, 16, 2, false, true},
  };
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

Result<ModelShape> ShapeOfSize(uint64_t bytes, TensorType matrices) {
  for (const ModelShape& base : {kSmallLayers, kLargeLayers}) {
    ModelShape one = base, two = base;
    one.layers = 1;
    two.layers = 2;
    const auto first = DescribeModel(one, matrices), second = DescribeModel(two, matrices);
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
  return Status(Code::kInvalidArgument, fmt::format("{} would need more than {} layers, the engine's limit: ask for 800G or less",
                                                    FormatSize(bytes), kMostLayers));
}

Result<GgufWriter> DescribeModel(const ModelShape& shape, TensorType matrices) {
  const uint32_t block = BlockLayoutOf(matrices).elements;
  const auto invalid = [&](std::string why) { return Status(Code::kInvalidArgument, std::move(why)); };
  if (shape.layers == 0 || shape.layers > kMostLayers) return invalid(fmt::format("{} layers: write 1 to {}", shape.layers, kMostLayers));
  if (shape.width % block != 0 || shape.feed_forward % block != 0) {
    return invalid(fmt::format("width {} and feed-forward {} must be multiples of {}", shape.width, shape.feed_forward, block));
  }
  if (shape.width % shape.heads != 0 || shape.heads % shape.heads_kv != 0) {
    return invalid(fmt::format("width {}, {} heads and {} KV heads must divide each other", shape.width, shape.heads, shape.heads_kv));
  }
  if (shape.vocabulary < SmallestVocabulary()) {
    return invalid(fmt::format("{} tokens are too few: write {} or more", shape.vocabulary, SmallestVocabulary()));
  }
  if (shape.experts_used > shape.experts) return invalid(fmt::format("{} of {} experts cannot be used", shape.experts_used, shape.experts));
  const bool dense = shape.experts == 0;
  if (shape.draft_head && dense) return invalid("a draft head needs a mixture of experts");
  const uint32_t head = shape.width / shape.heads;
  const uint64_t width = shape.width, width_kv = uint64_t{head} * shape.heads_kv, feed_forward = shape.feed_forward;

  GgufWriter writer;
  const std::string architecture = shape.layer_embeddings ? "gemma3n" : dense ? "llama" : shape.draft_head ? "glm4moe" : "qwen3moe";
  const auto key = [&](const char* part) { return architecture + "." + part; };
  writer.AddString("general.architecture", architecture);
  writer.AddString("general.name", "random-" + shape.name);
  writer.AddUint32("general.file_type", FileTypeOf(matrices));
  writer.AddUint32(key("context_length"), 8192);
  writer.AddUint32(key("embedding_length"), shape.width);
  writer.AddUint32(key("block_count"), shape.layers + (shape.draft_head ? 1 : 0));
  writer.AddUint32(key("feed_forward_length"), shape.feed_forward);
  writer.AddUint32(key("attention.head_count"), shape.heads);
  writer.AddUint32(key("attention.head_count_kv"), shape.heads_kv);
  writer.AddFloat32(key("attention.layer_norm_rms_epsilon"), 1e-5f);
  writer.AddFloat32(key("rope.freq_base"), 10000.0f);
  if (shape.layer_embeddings) {
    writer.AddUint32(key("attention.key_length"), head);
    writer.AddUint32(key("attention.value_length"), head);
    writer.AddUint32(key("attention.sliding_window"), 512);
  } else if (dense) {
    writer.AddUint32(key("rope.dimension_count"), head);
    writer.AddUint32(key("vocab_size"), shape.vocabulary);
  } else {
    writer.AddUint32(key("attention.key_length"), head);
    writer.AddUint32(key("attention.value_length"), head);
    writer.AddUint32(key("expert_count"), shape.experts);
    writer.AddUint32(key("expert_used_count"), shape.experts_used);
    writer.AddUint32(key("expert_feed_forward_length"), shape.feed_forward);
  }
  WriteVocabulary(shape.vocabulary, writer);
  if (shape.layer_embeddings) {
    AddGemma3n(shape, matrices, writer);
    return writer;
  }

  // Routers see the hidden state. With weights of size one that would be the attention's average over the context,
  // nearly the same for all tokens. In a mixture the embedding has the size of a norm's result and stays the
  // largest part: one share of it is the same for all tokens and makes experts popular, the rest chooses by token.
  const Filling embedding = dense ? Filling{} : Filling{std::sqrt(static_cast<double>(width)), kPopularShare};
  const Filling residual = dense ? Filling{} : Filling{kResidualGain, 0};
  if (shape.draft_head) {
    AddGlm4Moe(shape, matrices, embedding, residual, writer);
  } else {
    writer.AddTensor("token_embd.weight", matrices, {width, shape.vocabulary}, embedding);
  }
  for (uint32_t i = 0; i < (shape.draft_head ? 0 : shape.layers); ++i) {
    const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", i, part); };
    writer.AddTensor(name("attn_norm"), TensorType::kF32, {width});
    writer.AddTensor(name("attn_q"), matrices, {width, width});
    writer.AddTensor(name("attn_k"), matrices, {width, width_kv});
    writer.AddTensor(name("attn_v"), matrices, {width, width_kv});
    writer.AddTensor(name("attn_output"), matrices, {width, width}, residual);
    writer.AddTensor(name("ffn_norm"), TensorType::kF32, {width});
    if (dense) {
      writer.AddTensor(name("ffn_gate"), matrices, {width, feed_forward});
      writer.AddTensor(name("ffn_up"), matrices, {width, feed_forward});
      writer.AddTensor(name("ffn_down"), matrices, {feed_forward, width});
    } else {
      writer.AddTensor(name("attn_q_norm"), TensorType::kF32, {head});
      writer.AddTensor(name("attn_k_norm"), TensorType::kF32, {head});
      writer.AddTensor(name("ffn_gate_inp"), TensorType::kF32, {width, shape.experts});
      writer.AddTensor(name("ffn_gate_exps"), matrices, {width, feed_forward, shape.experts});
      writer.AddTensor(name("ffn_up_exps"), matrices, {width, feed_forward, shape.experts});
      writer.AddTensor(name("ffn_down_exps"), matrices, {feed_forward, width, shape.experts}, residual);
    }
  }
  writer.AddTensor("output_norm.weight", TensorType::kF32, {width});
  if (!shape.tied) {
    const TensorType output = matrices == TensorType::kQ4_K ? TensorType::kQ6_K : matrices;
    writer.AddTensor("output.weight", output, {width, shape.vocabulary});
  }
  return writer;
}

}  // namespace headrace::bench
