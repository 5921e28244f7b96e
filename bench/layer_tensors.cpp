#include "layer_tensors.h"

#include <cmath>

#include <fmt/format.h>

#include "random_weights.h"

namespace headrace::bench {
namespace {

using Dimensions = std::vector<uint64_t>;

// Calibrated so that a layer's choices look as published ones of 128 experts, 8 used (docs/benchmarks.md).
constexpr double kPopularShare = 0.55;
constexpr double kResidualGain = 0.1;

// Drifting choices: in the first layer all queries and keys are nearly the same vector, so that a token's weight
// depends on its distance alone and the layer's output is the average of the last hundred tokens or so: the subject.
// With these it decides 58 % of what routers see, and of 512 experts with 10 used least-recently-used with 64 hits 67
// %, with 128 81 %, as published (docs/experts-policy.md).
constexpr double kSameBias = 20;       // of queries and keys, beside which their parts by token are small
constexpr double kScoreRange = 34;     // between the same token and a distant one, before the softmax
constexpr double kSubjectGain = 10.6;  // the average of a hundred is that much smaller than one

// What the engine's loader takes for granted of Gemma 3n.
constexpr uint64_t kLayerEmbedding = 256, kAltups = 4, kLaurelRank = 64;

Filling Ones() { return {}; }
Filling Around(double mean, double spread) { return {.mean = mean, .spread = spread}; }

class Tensors {
 public:
  Tensors(const ModelShape& shape, TypeMix types, GgufWriter& writer)
      : shape_(shape),
        types_(types),
        writer_(writer),
        width_(shape.width),
        head_(shape.head_width()),
        residual_{shape.experts > 0 ? kResidualGain : 1} {}

  void Add();

 private:
  void AddMatrix(const std::string& name, Dimensions dimensions, Filling filling = {}) {
    // As llama-quantize, which knows Llama 70B by its layers.
    const bool grouped_values = shape_.architecture == Architecture::kLlama && shape_.layers == 80;
    const TensorType type = TypeOf(types_, name, dimensions, shape_.all_layers(), grouped_values);
    writer_.AddTensor(name, type, std::move(dimensions), filling);
  }
  void Floats(const std::string& name, Dimensions dimensions, const Filling& filling) {
    writer_.AddTensor(name, TensorType::kF32, std::move(dimensions), filling);
  }
  // Of the present layer.
  std::string Name(const char* part) const { return fmt::format("blk.{}.{}", layer_, part); }
  void Matrix(const char* part, Dimensions dimensions, Filling filling = {}) {
    AddMatrix(Name(part) + ".weight", std::move(dimensions), filling);
  }
  void Norm(const char* part, uint64_t elements) { Floats(Name(part) + ".weight", {elements}, Ones()); }
  void Bias(const char* part, Dimensions dimensions, const Filling& filling) {
    Floats(Name(part) + ".bias", std::move(dimensions), filling);
  }

  bool Is(Architecture architecture) const { return shape_.architecture == architecture; }
  bool Drifting() const { return shape_.choices == ChoiceKind::kDrifting; }
  bool GivesSubject() const { return Drifting() && layer_ == 0; }
  bool HasExperts() const { return shape_.experts > 0 && layer_ >= shape_.dense_layers; }

  void Attention();
  void GroupedAttention();
  void LatentAttention();
  void LinearAttention();
  void FeedForward();
  void Experts();
  void SharedExpert();
  void DraftHead();
  void Gemma3n();

  const ModelShape& shape_;
  const TypeMix types_;
  GgufWriter& writer_;
  const uint64_t width_, head_;
  const Filling residual_;  // of what is added to the hidden state
  uint32_t layer_ = 0;
};

void Tensors::GroupedAttention() {
  const uint64_t queries = head_ * shape_.heads, keys = head_ * shape_.heads_kv;
  const bool gated = Is(Architecture::kQwen3Next);  // a gate for each element beside the queries
  Matrix("attn_q", {width_, gated ? 2 * queries : queries});
  Matrix("attn_k", {width_, keys});
  Matrix("attn_v", {width_, keys});
  Matrix("attn_output", {queries, width_}, GivesSubject() ? Filling{.gain = kSubjectGain} : residual_);
  if (GivesSubject()) {
    Bias("attn_q", {queries}, Around(kSameBias, 0));
    Bias("attn_k", {keys}, Around(kSameBias, 0));
  }
  if (Is(Architecture::kGptOss) || Is(Architecture::kGlm4Moe)) {
    const Filling small = Around(0, 0.2);
    Bias("attn_q", {queries}, small);
    Bias("attn_k", {keys}, small);
    Bias("attn_v", {keys}, small);
  }
  if (Is(Architecture::kGptOss)) {
    Bias("attn_output", {width_}, Around(0, 0.02));
    Floats(Name("attn_sinks.weight"), {shape_.heads}, Around(0, 1));
  }
  if (gated) {
    Norm("attn_q_norm", head_);
    Norm("attn_k_norm", head_);
  }
}

// Queries, keys and values through narrow vectors; of a head 128 elements are plain and 64 rotated.
void Tensors::LatentAttention() {
  const uint64_t heads = shape_.heads;
  Matrix("attn_q_a", {width_, kQueryRank});
  Norm("attn_q_a_norm", kQueryRank);
  Matrix("attn_q_b", {kQueryRank, heads * (kPlainHead + kRotatedHead)});
  Matrix("attn_kv_a_mqa", {width_, kKeyValueRank + kRotatedHead});
  Norm("attn_kv_a_norm", kKeyValueRank);
  Matrix("attn_k_b", {kPlainHead, kKeyValueRank, heads});
  Matrix("attn_v_b", {kKeyValueRank, kPlainHead, heads});
  Matrix("attn_output", {heads * kPlainHead, width_}, residual_);
}

// A state that each token decays and adds to (gated delta net).
void Tensors::LinearAttention() {
  const uint64_t keys = uint64_t{kStateSize} * shape_.heads, values = 2 * keys,
                 value_heads = uint64_t{2} * shape_.heads;
  Matrix("attn_qkv", {width_, 2 * keys + values});
  Matrix("attn_gate", {width_, values});
  Matrix("ssm_ba", {width_, 2 * value_heads});
  Floats(Name("ssm_conv1d.weight"), {kConvolution, 2 * keys + values}, Around(0, 0.8));
  Floats(Name("ssm_dt.bias"), {value_heads}, Around(-2, 1));
  Floats(Name("ssm_a"), {value_heads}, Around(-1, 0.5));
  Norm("ssm_norm", kStateSize);
  Matrix("ssm_out", {values, width_}, residual_);
}

void Tensors::Attention() {
  if (Is(Architecture::kDeepseek2)) return LatentAttention();
  if (Is(Architecture::kQwen3Next) && (layer_ + 1) % kFullAttentionInterval != 0) return LinearAttention();
  GroupedAttention();
}

void Tensors::Experts() {
  const uint64_t experts = shape_.experts, feed_forward = shape_.expert_feed_forward;
  Floats(Name("ffn_gate_inp.weight"), {width_, experts}, RandomFloats(width_));
  Matrix("ffn_gate_exps", {width_, feed_forward, experts});
  Matrix("ffn_up_exps", {width_, feed_forward, experts});
  Matrix("ffn_down_exps", {feed_forward, width_, experts}, residual_);
  if (Is(Architecture::kGptOss)) {
    Bias("ffn_gate_inp", {experts}, Around(0, 0.1));
    Bias("ffn_gate_exps", {feed_forward, experts}, Around(0, 0.2));
    Bias("ffn_up_exps", {feed_forward, experts}, Around(0, 0.2));
    Bias("ffn_down_exps", {width_, experts}, Around(0, 0.02));
  }
  // Corrects what is chosen, not how it is weighed.
  if (Is(Architecture::kGlm4Moe) || Is(Architecture::kDeepseek2)) Bias("exp_probs_b", {experts}, Around(0, 0.01));
}

// As wide as one expert, for every token.
void Tensors::SharedExpert() {
  const uint64_t feed_forward = shape_.expert_feed_forward;
  if (Is(Architecture::kQwen3Next)) Floats(Name("ffn_gate_inp_shexp.weight"), {width_}, RandomFloats(width_));
  Matrix("ffn_gate_shexp", {width_, feed_forward});
  Matrix("ffn_up_shexp", {width_, feed_forward});
  Matrix("ffn_down_shexp", {feed_forward, width_}, residual_);
}

void Tensors::FeedForward() {
  if (!HasExperts()) {
    Matrix("ffn_gate", {width_, shape_.feed_forward});
    Matrix("ffn_up", {width_, shape_.feed_forward});
    Matrix("ffn_down", {shape_.feed_forward, width_}, residual_);
    return;
  }
  if (Is(Architecture::kQwen3Moe)) {
    // A product of two normalized heads is their width, divided by its root.
    const double sharpness = GivesSubject() ? kScoreRange / std::sqrt(static_cast<double>(head_)) : 1;
    Floats(Name("attn_q_norm.weight"), {head_}, Around(sharpness, 0));
    Norm("attn_k_norm", head_);
  }
  Experts();
  if (Is(Architecture::kGlm4Moe) || Is(Architecture::kQwen3Next) || Is(Architecture::kDeepseek2)) SharedExpert();
}

// Proposes the token after the next from the hidden state and the next token.
void Tensors::DraftHead() {
  if (shape_.head_copies) {
    writer_.AddTensor(Name("nextn.eh_proj.weight"), TensorType::kQ8_0, {2 * width_, width_},
                      {.identity = true});  // the embedding comes first
  } else {
    Matrix("nextn.eh_proj", {2 * width_, width_});
    Matrix("nextn.embed_tokens", {width_, shape_.vocabulary});
  }
  Norm("nextn.enorm", width_);
  Norm("nextn.hnorm", width_);
  if (!shape_.head_copies) Matrix("nextn.shared_head_head", {width_, shape_.vocabulary});
  Norm("nextn.shared_head_norm", width_);
}

// Gemma 3n: a hidden state in four versions, one of which goes through each layer; and what a token's row of the second
// table adds to each layer.
void Tensors::Gemma3n() {
  const uint64_t feed_forward = shape_.feed_forward, width_kv = head_ * shape_.heads_kv,
                 embeddings = kLayerEmbedding * shape_.layers;
  AddMatrix("token_embd.weight", {width_, shape_.vocabulary});
  AddMatrix("per_layer_token_embd.weight", {embeddings, shape_.vocabulary});
  AddMatrix("per_layer_model_proj.weight", {width_, embeddings});
  Floats("per_layer_proj_norm.weight", {kLayerEmbedding}, Ones());
  AddMatrix("altup_proj.weight", {width_, width_, kAltups - 1});
  AddMatrix("altup_unembd_proj.weight", {width_, width_, kAltups - 1});
  const auto square = [&](const char* part, uint64_t row, uint64_t rows) {
    Floats(Name(part) + ".weight", {row, rows}, RandomFloats(row));
  };
  for (layer_ = 0; layer_ < shape_.layers; ++layer_) {
    Norm("attn_norm", width_);
    Matrix("attn_q", {width_, width_});
    Matrix("attn_k", {width_, width_kv});
    Matrix("attn_v", {width_, width_kv});
    Matrix("attn_output", {width_, width_});
    Norm("attn_q_norm", head_);
    Norm("attn_k_norm", head_);
    Norm("post_attention_norm", width_);
    Norm("ffn_norm", width_);
    Matrix("ffn_gate", {width_, feed_forward});
    Matrix("ffn_up", {width_, feed_forward});
    Matrix("ffn_down", {feed_forward, width_});
    Norm("post_ffw_norm", width_);
    Matrix("inp_gate", {width_, kLayerEmbedding});
    Matrix("proj", {kLayerEmbedding, width_});
    Norm("post_norm", width_);
    square("altup_correct_coef", kAltups, kAltups);
    Norm("altup_correct_scale", width_);
    square("altup_predict_coef", kAltups, kAltups * kAltups);
    square("altup_router", width_, kAltups);
    Norm("altup_router_norm", width_);
    Matrix("laurel_l", {width_, kLaurelRank});
    Matrix("laurel_r", {kLaurelRank, width_});
    Norm("laurel_post_norm", width_);
  }
  Floats("output_norm.weight", {width_}, Ones());
}

void Tensors::Add() {
  if (Is(Architecture::kGemma3n)) return Gemma3n();
  // Routers see the hidden state. With weights of size one that would be the attention's average over the context,
  // nearly the same for all tokens. In a mixture the embedding has the size of a norm's result and stays the
  // largest part: one share of it is the same for all tokens and makes experts popular, the rest chooses by token.
  const bool dense = shape_.experts == 0;
  const Filling embedding =
      dense ? Filling{} : Filling{std::sqrt(static_cast<double>(width_)), Drifting() ? 0 : kPopularShare};
  const bool norm_after_attention =
      Is(Architecture::kGptOss) || Is(Architecture::kGlm4Moe) || Is(Architecture::kQwen3Next);
  AddMatrix("token_embd.weight", {width_, shape_.vocabulary}, embedding);
  if (Is(Architecture::kLlama) && shape_.rope_base > 10000) Floats("rope_freqs.weight", {head_ / 2}, Ones());
  for (layer_ = 0; layer_ < shape_.all_layers(); ++layer_) {
    Norm("attn_norm", width_);
    Attention();
    Norm(norm_after_attention ? "post_attention_norm" : "ffn_norm", width_);
    FeedForward();
    if (layer_ >= shape_.layers) DraftHead();
  }
  Floats("output_norm.weight", {width_}, Ones());
  if (!shape_.tied) AddMatrix("output.weight", {width_, shape_.vocabulary});
}

}  // namespace

void AddTensors(const ModelShape& shape, TypeMix types, GgufWriter& writer) { Tensors(shape, types, writer).Add(); }

}  // namespace headrace::bench
