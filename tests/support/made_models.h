// Small files of the kinds that the bundled models lack: a recurrent model, a LoRA adapter, a control vector. All
// weights are zeros, and holes on the disk.
#pragma once

#include <string>
#include <vector>

#include "gguf/gguf_builder.h"

namespace headrace::cli {

// A Mamba model whose state of one sequence takes about 8 MiB, and whose weights take 60. False when it cannot be
// written.
inline bool WriteRecurrentModel(const std::string& path) {
  constexpr uint32_t kLayers = 16, kEmbedding = 512, kInner = 1024, kState = 128, kConvolution = 4, kStepRank = 16;
  GgufBuilder model;
  model.Text("general.architecture", "mamba").Text("general.name", "recurrent").U32("mamba.context_length", 8192);
  model.U32("mamba.embedding_length", kEmbedding).U32("mamba.block_count", kLayers).U32("mamba.feed_forward_length", 0);
  model.U32("mamba.attention.head_count", 0).F32("mamba.attention.layer_norm_rms_epsilon", 1e-5F);
  model.U32("mamba.ssm.conv_kernel", kConvolution)
      .U32("mamba.ssm.inner_size", kInner)
      .U32("mamba.ssm.state_size", kState);
  model.U32("mamba.ssm.time_step_rank", kStepRank);
  // Bytes, and nothing else.
  constexpr const char* kDigits = "0123456789ABCDEF";
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};  // unknown, control
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">");
    types.push_back(6);
  }
  const auto vocabulary = tokens.size();
  model.Text("tokenizer.ggml.model", "llama")
      .TextArray("tokenizer.ggml.tokens", tokens)
      .I32Array("tokenizer.ggml.token_type", types);
  model.Array("tokenizer.ggml.scores", kGgufF32, vocabulary, std::string(4 * vocabulary, '\0'));
  model.U32("tokenizer.ggml.bos_token_id", 1).U32("tokenizer.ggml.eos_token_id", 2);
  model.Tensor("token_embd.weight", kGgmlF32, {kEmbedding, vocabulary})
      .Tensor("output_norm.weight", kGgmlF32, {kEmbedding});
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    model.Tensor(block + "attn_norm.weight", kGgmlF32, {kEmbedding})
        .Tensor(block + "ssm_in.weight", kGgmlF16, {kEmbedding, 2 * kInner});
    model.Tensor(block + "ssm_conv1d.weight", kGgmlF32, {kConvolution, kInner})
        .Tensor(block + "ssm_conv1d.bias", kGgmlF32, {kInner});
    model.Tensor(block + "ssm_x.weight", kGgmlF16, {kInner, kStepRank + 2 * kState})
        .Tensor(block + "ssm_dt.weight", kGgmlF16, {kStepRank, kInner});
    model.Tensor(block + "ssm_dt.bias", kGgmlF32, {kInner})
        .Tensor(block + "ssm_a", kGgmlF32, {kState, kInner})
        .Tensor(block + "ssm_d", kGgmlF32, {kInner});
    model.Tensor(block + "ssm_out.weight", kGgmlF16, {kInner, kEmbedding});
  }
  return model.Write(path);
}

// For models/austen-dense-q4_0.gguf, without an effect: of two layers, with so many rows. One more takes 14 KiB.
inline bool WriteAdapter(const std::string& path, uint64_t rank) {
  GgufBuilder adapter;
  adapter.Text("general.type", "adapter")
      .Text("general.architecture", "llama")
      .Text("adapter.type", "lora")
      .F32("adapter.lora.alpha", 8);
  for (int layer = 0; layer < 2; ++layer) {
    const std::string weight = "blk." + std::to_string(layer) + ".ffn_up.weight";
    adapter.Tensor(weight + ".lora_a", kGgmlF32, {512, rank}).Tensor(weight + ".lora_b", kGgmlF32, {rank, 1280});
  }
  return adapter.Write(path);
}

// For the same model, without an effect: a direction of 512 numbers for each layer but the first.
inline bool WriteControlVector(const std::string& path) {
  GgufBuilder vector;
  vector.Text("general.architecture", "controlvector")
      .Text("controlvector.model_hint", "llama")
      .U32("controlvector.layer_count", 5);
  for (int layer = 1; layer < 6; ++layer) vector.Tensor("direction." + std::to_string(layer), kGgmlF32, {512});
  return vector.Write(path);
}

}  // namespace headrace::cli
