#include "describe_model.h"

#include <fmt/format.h>

#include "layer_tensors.h"
#include "vocabulary.h"

namespace headrace::bench {
namespace {

Status Check(const ModelShape& shape, TypeMix types) {
  const uint32_t block = RowMultipleOf(types);
  const auto invalid = [](std::string why) { return Status(Code::kInvalidArgument, std::move(why)); };
  if (shape.layers == 0 || shape.all_layers() > kMostLayers)
    return invalid(fmt::format("{} layers: write 1 to {}", shape.layers, kMostLayers));
  const bool dense = shape.experts == 0 || shape.dense_layers > 0;
  if (shape.width % block != 0 || (dense && shape.feed_forward % block != 0)) {
    return invalid(
        fmt::format("width {} and feed-forward {} must be multiples of {}", shape.width, shape.feed_forward, block));
  }
  if (shape.expert_feed_forward % block != 0) {
    return invalid(
        fmt::format("feed-forward {} of experts must be a multiple of {}", shape.expert_feed_forward, block));
  }
  if (shape.heads == 0 || shape.heads_kv == 0 || shape.heads % shape.heads_kv != 0 ||
      (shape.head == 0 && shape.width % shape.heads != 0)) {
    return invalid(fmt::format("width {}, {} heads and {} KV heads must divide each other", shape.width, shape.heads,
                               shape.heads_kv));
  }
  if (shape.vocabulary < SmallestVocabulary()) {
    return invalid(fmt::format("{} tokens are too few: write {} or more", shape.vocabulary, SmallestVocabulary()));
  }
  if (shape.experts_used > shape.experts)
    return invalid(fmt::format("{} of {} experts cannot be used", shape.experts_used, shape.experts));
  if (shape.dense_layers >= shape.layers && shape.experts > 0)
    return invalid(fmt::format("{} layers: none would have experts", shape.layers));
  if (shape.choices == ChoiceKind::kDrifting && shape.architecture != Architecture::kQwen3Moe) {
    return invalid(
        fmt::format("drifting choices are not for {}: take moe-5g, moe-512, moe-tiny or qwen3-30b-a3b", shape.name));
  }
  // The engine looks for the two best of each group.
  if (shape.architecture == Architecture::kDeepseek2 && shape.experts % (2 * kExpertGroups) != 0) {
    return invalid(fmt::format("{} experts: write a multiple of {} for this shape", shape.experts, 2 * kExpertGroups));
  }
  return {};
}

class Metadata {
 public:
  Metadata(const ModelShape& shape, GgufWriter& writer) : shape_(shape), writer_(writer) {}

  void Write(uint32_t file_type) {
    writer_.AddString("general.architecture", NameOf(shape_.architecture));
    writer_.AddString("general.name", "random-" + shape_.name);
    writer_.AddUint32("general.file_type", file_type);
    Number("context_length", shape_.context);
    Number("embedding_length", shape_.width);
    Number("block_count", shape_.all_layers());
    Number("feed_forward_length", shape_.feed_forward > 0 ? shape_.feed_forward : shape_.expert_feed_forward);
    Number("attention.head_count", shape_.heads);
    Number("attention.head_count_kv", Latent() ? 1 : shape_.heads_kv);
    writer_.AddFloat32(Key("attention.layer_norm_rms_epsilon"), 1e-5f);
    writer_.AddFloat32(Key("rope.freq_base"), shape_.rope_base);
    if (shape_.architecture == Architecture::kLlama) {
      Number("rope.dimension_count", shape_.head_width());
      Number("vocab_size", shape_.vocabulary);
    } else if (Latent()) {
      // What the cache holds, and what a head is when it is unfolded.
      Number("attention.key_length", kKeyValueRank + kRotatedHead);
      Number("attention.value_length", kKeyValueRank);
      Number("attention.key_length_mla", kPlainHead + kRotatedHead);
      Number("attention.value_length_mla", kPlainHead);
      Number("attention.q_lora_rank", kQueryRank);
      Number("attention.kv_lora_rank", kKeyValueRank);
    } else {
      Number("attention.key_length", shape_.head_width());
      Number("attention.value_length", shape_.head_width());
    }
    if (shape_.rope_dimensions > 0) Number("rope.dimension_count", shape_.rope_dimensions);
    if (shape_.experts > 0) {
      Number("expert_count", shape_.experts);
      Number("expert_used_count", shape_.experts_used);
      Number("expert_feed_forward_length", shape_.expert_feed_forward);
    }
    if (shape_.dense_layers > 0) Number("leading_dense_block_count", shape_.dense_layers);
    if (shape_.draft_layers > 0) Number("nextn_predict_layers", shape_.draft_layers);
    OfArchitecture();
  }

 private:
  std::string Key(const char* part) const { return std::string(NameOf(shape_.architecture)) + "." + part; }
  void Number(const char* part, uint32_t value) { writer_.AddUint32(Key(part), value); }
  bool Latent() const { return shape_.architecture == Architecture::kDeepseek2; }

  void Stretched(float factor) {  // YaRN
    writer_.AddString(Key("rope.scaling.type"), "yarn");
    writer_.AddFloat32(Key("rope.scaling.factor"), factor);
    Number("rope.scaling.original_context_length", 4096);
  }
  void SigmoidRouter(float scale) {
    constexpr uint32_t kSigmoid = 2;
    Number("expert_gating_func", kSigmoid);
    Number("expert_shared_count", 1);
    writer_.AddFloat32(Key("expert_weights_scale"), scale);
    writer_.AddBool(Key("expert_weights_norm"), true);
  }

  void OfArchitecture() {
    switch (shape_.architecture) {
      case Architecture::kLlama:
        break;
      case Architecture::kQwen3Moe:
        if (shape_.choices != ChoiceKind::kDrifting) break;
        writer_.AddString(Key("rope.scaling.type"), "linear");
        writer_.AddFloat32(Key("rope.scaling.factor"), kSubjectTokens);
        break;
      case Architecture::kGemma3n:
        Number("attention.sliding_window", 512);
        break;
      case Architecture::kGptOss:
        Number("attention.sliding_window", kSlidingWindow);
        Stretched(32);
        break;
      case Architecture::kGlm4Moe:
        SigmoidRouter(1);
        break;
      case Architecture::kQwen3Next:
        Number("expert_shared_feed_forward_length", shape_.expert_feed_forward);
        Number("ssm.conv_kernel", kConvolution);
        Number("ssm.state_size", kStateSize);
        Number("ssm.group_count", shape_.heads);
        Number("ssm.time_step_rank", 2 * shape_.heads);
        Number("ssm.inner_size", 2 * shape_.heads * kStateSize);
        break;
      case Architecture::kDeepseek2:
        SigmoidRouter(2.5);
        Number("expert_group_count", kExpertGroups);
        Number("expert_group_used_count", kExpertGroupsUsed);
        Stretched(40);
        writer_.AddFloat32(Key("rope.scaling.yarn_log_multiplier"), 0.1f);
        break;
    }
  }

  const ModelShape& shape_;
  GgufWriter& writer_;
};

}  // namespace

Result<GgufWriter> DescribeModel(const ModelShape& shape, TypeMix types) {
  HEADRACE_RETURN_IF_ERROR(Check(shape, types));
  GgufWriter writer;
  Metadata(shape, writer).Write(FileTypeOf(types));
  WriteVocabulary(shape.vocabulary, writer);
  AddTensors(shape, types, writer);
  return writer;
}

}  // namespace headrace::bench
