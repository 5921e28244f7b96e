// Numbers from the models' published configurations; types as in the files that people load.
#include "model_shape.h"

namespace headrace::bench {

const std::vector<ModelShape>& PublishedShapes() {
  static const std::vector<ModelShape> shapes = {
      {.name = "llama-3.1-8b", .about = "Llama 3.1 8B", .architecture = Architecture::kLlama, .layers = 32, .width = 4096, .feed_forward = 14336, .heads = 32,
       .heads_kv = 8, .vocabulary = 128256, .context = 131072, .rope_base = 500000, .types = TypeMix::kQ4_K_M},
      {.name = "llama-3.1-70b", .about = "Llama 3.1 70B", .architecture = Architecture::kLlama, .layers = 80, .width = 8192, .feed_forward = 28672, .heads = 64,
       .heads_kv = 8, .vocabulary = 128256, .context = 131072, .rope_base = 500000, .types = TypeMix::kQ4_K_M},
      {.name = "qwen3-30b-a3b", .about = "Qwen3 30B-A3B: 128 experts, 8 used", .architecture = Architecture::kQwen3Moe, .layers = 48, .width = 2048,
       .feed_forward = 6144, .heads = 32, .heads_kv = 4, .vocabulary = 151936, .head = 128, .experts = 128, .experts_used = 8, .expert_feed_forward = 768,
       .context = 40960, .rope_base = 1000000, .types = TypeMix::kQ4_K_M},
      {.name = "gpt-oss-20b", .about = "gpt-oss 20b: 32 experts, 4 used", .architecture = Architecture::kGptOss, .layers = 24, .width = 2880, .heads = 64,
       .heads_kv = 8, .vocabulary = 201088, .head = 64, .experts = 32, .experts_used = 4, .expert_feed_forward = 2880, .context = 131072, .rope_base = 150000,
       .types = TypeMix::kMxfp4},
      {.name = "gpt-oss-120b", .about = "gpt-oss 120b: 128 experts, 4 used", .architecture = Architecture::kGptOss, .layers = 36, .width = 2880, .heads = 64,
       .heads_kv = 8, .vocabulary = 201088, .head = 64, .experts = 128, .experts_used = 4, .expert_feed_forward = 2880, .context = 131072, .rope_base = 150000,
       .types = TypeMix::kMxfp4},
      {.name = "qwen3-next-80b", .about = "Qwen3-Next 80B-A3B: 512 experts, 10 used; 3 of 4 layers have linear attention", .architecture = Architecture::kQwen3Next,
       .layers = 48, .width = 2048, .feed_forward = 5120, .heads = 16, .heads_kv = 2, .vocabulary = 151936, .head = 256, .experts = 512, .experts_used = 10,
       .expert_feed_forward = 512, .context = 262144, .rope_dimensions = 64, .rope_base = 10000000, .types = TypeMix::kQ4_K_M},
      {.name = "glm-4.5-air", .about = "GLM 4.5 Air 106B-A12B: 128 experts, 8 used, and a draft head", .architecture = Architecture::kGlm4Moe, .layers = 46,
       .width = 4096, .feed_forward = 10944, .heads = 96, .heads_kv = 8, .vocabulary = 151552, .head = 128, .experts = 128, .experts_used = 8,
       .expert_feed_forward = 1408, .dense_layers = 1, .draft_layers = 1, .context = 131072, .rope_dimensions = 64, .rope_base = 1000000,
       .types = TypeMix::kQ4_K_M},
      {.name = "deepseek-v3", .about = "DeepSeek V3 671B-A37B: 256 experts, 8 used; narrow keys and values", .architecture = Architecture::kDeepseek2, .layers = 61,
       .width = 7168, .feed_forward = 18432, .heads = 128, .heads_kv = 128, .vocabulary = 129280, .experts = 256, .experts_used = 8,
       .expert_feed_forward = 2048, .dense_layers = 3, .context = 163840, .rope_dimensions = 64, .types = TypeMix::kQ4_K_M},
  };
  return shapes;
}

}  // namespace headrace::bench
