#include "head_shape.h"

#include <fmt/format.h>

namespace headrace::bench {
namespace {

constexpr TensorType kF32 = TensorType::kF32;

}  // namespace

void AddGlm4Moe(const ModelShape& shape, TensorType matrices, const Filling& embedding, const Filling& residual, GgufWriter& writer) {
  const uint64_t width = shape.width, feed_forward = shape.feed_forward, width_kv = width / shape.heads * shape.heads_kv;
  writer.AddUint32("glm4moe.nextn_predict_layers", 1);
  writer.AddUint32("glm4moe.leading_dense_block_count", 0);
  writer.AddUint32("glm4moe.expert_shared_count", 1);
  writer.AddFloat32("glm4moe.expert_weights_scale", 1);
  writer.AddBool("glm4moe.expert_weights_norm", true);
  writer.AddUint32("glm4moe.rope.dimension_count", shape.width / shape.heads);

  writer.AddTensor("token_embd.weight", matrices, {width, shape.vocabulary}, embedding);
  for (uint32_t i = 0; i <= shape.layers; ++i) {
    const auto add = [&](const char* part, TensorType type, std::vector<uint64_t> dimensions, const Filling& filling = {}) {
      writer.AddTensor(fmt::format("blk.{}.{}", i, part), type, std::move(dimensions), filling);
    };
    add("attn_norm.weight", kF32, {width});
    add("attn_q.weight", matrices, {width, width});
    add("attn_k.weight", matrices, {width, width_kv});
    add("attn_v.weight", matrices, {width, width_kv});
    add("attn_output.weight", matrices, {width, width}, residual);
    add("post_attention_norm.weight", kF32, {width});
    add("ffn_gate_inp.weight", kF32, {width, shape.experts});
    add("exp_probs_b.bias", kF32, {shape.experts});
    add("ffn_gate_exps.weight", matrices, {width, feed_forward, shape.experts});
    add("ffn_up_exps.weight", matrices, {width, feed_forward, shape.experts});
    add("ffn_down_exps.weight", matrices, {feed_forward, width, shape.experts}, residual);
    add("ffn_gate_shexp.weight", matrices, {width, feed_forward});
    add("ffn_up_shexp.weight", matrices, {width, feed_forward});
    add("ffn_down_shexp.weight", matrices, {feed_forward, width}, residual);
    if (i < shape.layers) continue;
    Filling passing;
    passing.identity = true;
    add("nextn.eh_proj.weight", TensorType::kQ8_0, {2 * width, width}, passing);
    add("nextn.enorm.weight", kF32, {width});
    add("nextn.hnorm.weight", kF32, {width});
    add("nextn.shared_head_norm.weight", kF32, {width});
  }
}

}  // namespace headrace::bench
