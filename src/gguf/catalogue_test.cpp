#include "gguf/catalogue.h"

#include "gguf/gguf_test.h"

namespace headrace {
namespace {

class CatalogueTest : public GgufTest {};

GgufBuilder SmallModel(uint32_t version) {
  return GgufBuilder(version)
      .U32("llama.context_length", 4096)  // before the architecture: no order is promised
      .Text("general.architecture", "llama")
      .Text("general.name", "Small")
      .U64("llama.embedding_length", 256)
      .U16("llama.block_count", 2)
      .I32Array("llama.attention.head_count", {4, 8, 2})
      .I32Array("llama.attention.head_count_kv", {1, 0, 2})
      .U32("llama.expert_count", 6)
      .U32("llama.expert_used_count", 2)
      .U32("llama.attention.key_length", 192)
      .U32("llama.attention.key_length_mla", 96)
      .U32("llama.attention.value_length", 128)
      .U32("llama.nextn_predict_layers", 1)
      .U32("other.block_count", 77)
      .F32("llama.rope.freq_base", 10000)
      .Bool("tokenizer.ggml.add_bos_token", true)
      .TextArray("tokenizer.ggml.tokens", {"a", "", "ccc"})
      .I32Array("tokenizer.ggml.token_type", {1, 1, 1})
      .Text("tokenizer.chat_template", "{{ messages }}")
      .Tensor("token_embd.weight", kGgmlQ4_0, {256, 3})
      .Tensor("blk.0.attn_norm.weight", kGgmlF32, {3})
      .Tensor("blk.1.ffn_up_exps.weight", kGgmlQ4_K, {256, 5, 6})
      .Tensor("blk.1.ffn_up_exps.bias", kGgmlF32, {5, 6})
      .Tensor("scalar", kGgmlF16, {});
}

TEST_F(CatalogueTest, ReadsEveryVersionAlike) {
  for (uint32_t version : {1u, 2u, 3u}) {
    const GgufBuilder builder = SmallModel(version);
    const auto read = Read(builder);
    ASSERT_TRUE(read.ok()) << read.status().message();
    const Catalogue& model = *read;
    EXPECT_EQ(model.version, version);
    ASSERT_EQ(model.files.size(), 1u);
    EXPECT_EQ(model.files[0].path, Path("model.gguf"));
    EXPECT_EQ(model.files[0].bytes, builder.FileBytes());
    EXPECT_EQ(model.architecture, "llama");
    EXPECT_EQ(model.name, "Small");
    EXPECT_EQ(model.context_length, 4096u);
    EXPECT_EQ(model.embedding_length, 256u);
    EXPECT_EQ(model.layers, 2u);
    EXPECT_EQ(model.heads, 8u);
    EXPECT_EQ(model.heads_kv, 2u);
    EXPECT_EQ(model.experts, 6u);
    EXPECT_EQ(model.experts_used, 2u);
    EXPECT_EQ(model.key_length, 192u);
    EXPECT_EQ(model.value_length, 128u);
    EXPECT_EQ(model.head_blocks, 1u);
    EXPECT_EQ(model.vocabulary, 3u);
    EXPECT_TRUE(model.has_chat_template);

    ASSERT_EQ(model.tensors.size(), 5u);
    const uint64_t data = builder.DataOffset();
    const TensorEntry& embedding = model.tensors[0];
    EXPECT_EQ(embedding.name, "token_embd.weight");
    EXPECT_EQ(embedding.offset, data);
    EXPECT_EQ(embedding.bytes, 3 * 8 * 18u);
    EXPECT_EQ(embedding.row_bytes(), 8 * 18u);
    EXPECT_EQ(embedding.layer, -1);
    EXPECT_FALSE(embedding.is_expert());
    const TensorEntry& norm = model.tensors[1];
    EXPECT_EQ(norm.offset, data + 448);
    EXPECT_EQ(norm.bytes, 12u);
    EXPECT_EQ(norm.layer, 0);
    const TensorEntry& experts = model.tensors[2];
    EXPECT_EQ(experts.shape, (std::array<uint64_t, 4>{256, 5, 6, 1}));
    EXPECT_EQ(experts.rows(), 30u);
    EXPECT_EQ(experts.bytes, 30 * 144u);
    EXPECT_EQ(experts.layer, 1);
    EXPECT_TRUE(experts.is_expert());
    EXPECT_FALSE(model.tensors[3].is_expert());  // a bias
    EXPECT_EQ(model.tensors[4].shape, (std::array<uint64_t, 4>{1, 1, 1, 1}));
    EXPECT_EQ(model.weight_bytes(), 432 + 12 + 4320 + 120 + 2u);
    EXPECT_EQ(model.parameters(), 768 + 3 + 7680 + 30 + 1u);
    EXPECT_EQ(model.dominant_type(), "Q4_K");
  }
}

TEST_F(CatalogueTest, AFileWithoutAnythingIsSound) {
  const auto model = Read(GgufBuilder());
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->tensors.size(), 0u);
  EXPECT_EQ(model->architecture, "");
  EXPECT_EQ(model->dominant_type(), "");
  EXPECT_FALSE(model->has_chat_template);
}

// A model whose types only a newer llama.cpp knows: the sizes are what the file has for them.
TEST_F(CatalogueTest, NewerTypesHaveWhatLiesBeforeTheNextTensor) {
  const GgufBuilder model = GgufBuilder()
                                .TensorAt("blk.0.ffn_up.weight", 43, {256, 10}, 0)
                                .TensorAt("norm", kGgmlF32, {8}, 1440)
                                .TensorAt("output.weight", 400, {256, 7}, 1472)
                                .TensorAt("blk.0.ffn_down.weight", 43, {256, 10}, 4096);
  ASSERT_TRUE(model.Write(Path("model.gguf"), model.DataOffset() + 4096 + 1410));
  const auto catalogue = ReadCatalogue(Path("model.gguf"));
  ASSERT_TRUE(catalogue.ok()) << catalogue.status().message();
  const auto& tensors = catalogue->tensors;
  ASSERT_EQ(tensors.size(), 4u);
  EXPECT_EQ(tensors[0].bytes, 1440u) << "1410 and padding";
  EXPECT_EQ(tensors[0].row_bytes(), 144u);
  EXPECT_EQ(tensors[1].bytes, 32u);
  EXPECT_EQ(tensors[2].bytes, 4096u - 1472u);
  EXPECT_EQ(tensors[3].bytes, 1410u);
  EXPECT_FALSE(tensors[0].type_known());
  EXPECT_TRUE(tensors[1].type_known());
  EXPECT_EQ(catalogue->unknown_types(), (std::vector<std::string>{"type 43", "type 400"}));
  EXPECT_EQ(catalogue->dominant_type(), "type 43");
  EXPECT_EQ(catalogue->weight_bytes(), 1440u + 32 + 2624 + 1410);
  EXPECT_EQ(catalogue->parameters(), 256u * 27 + 8);
}

TEST_F(CatalogueTest, BundledModels) {
  const auto dense = ReadCatalogue(Model("austen-dense-q4_0.gguf"));
  ASSERT_TRUE(dense.ok()) << dense.status().message();
  EXPECT_EQ(dense->architecture, "llama");
  EXPECT_EQ(dense->layers, 6u);
  EXPECT_EQ(dense->embedding_length, 512u);
  EXPECT_EQ(dense->vocabulary, 4096u);
  EXPECT_EQ(dense->dominant_type(), "Q4_0");
  EXPECT_NEAR(static_cast<double>(dense->parameters()), 20.7e6, 0.1e6);

  const auto moe = ReadCatalogue(Model("austen-moe-q4_0.gguf"));
  ASSERT_TRUE(moe.ok()) << moe.status().message();
  EXPECT_EQ(moe->architecture, "qwen3moe");
  EXPECT_EQ(moe->experts, 32u);
  EXPECT_EQ(moe->experts_used, 4u);
  uint64_t expert_tensors = 0;
  for (const TensorEntry& tensor : moe->tensors) {
    if (!tensor.is_expert()) continue;
    ++expert_tensors;
    EXPECT_EQ(tensor.shape[2], 32u);
  }
  EXPECT_EQ(expert_tensors, 3 * 6u);

  const auto draft = ReadCatalogue(Model("austen-draft-f16.gguf"));
  ASSERT_TRUE(draft.ok()) << draft.status().message();
  EXPECT_EQ(draft->dominant_type(), "F16");
  EXPECT_EQ(draft->tensors.size(), 29u);
  EXPECT_EQ(draft->tensors.front().offset, 133312u);
  const TensorEntry& last = draft->tensors.back();
  EXPECT_EQ(last.name, "output_norm.weight");
  EXPECT_EQ(last.offset, 133312u + 6821888u);
  EXPECT_EQ(last.offset + last.bytes, draft->files[0].bytes);
}

TEST_F(CatalogueTest, FollowsTheAlignmentOfTheFile) {
  const auto model = Read(GgufBuilder().Alignment(4096).Tensor("a", kGgmlF32, {1}).Tensor("b", kGgmlF32, {1}));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->tensors[0].offset, 4096u);
  EXPECT_EQ(model->tensors[1].offset, 8192u);
}

TEST_F(CatalogueTest, TensorsComeInTheOrderOfTheirBytes) {
  const auto model = Read(GgufBuilder()
                              .TensorAt("second", kGgmlF32, {8}, 64)
                              .TensorAt("first", kGgmlF32, {8}, 0)
                              .TensorAt("between", kGgmlF32, {8}, 32));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->tensors[0].name, "first");
  EXPECT_EQ(model->tensors[1].name, "between");
  EXPECT_EQ(model->tensors[2].name, "second");
}

TEST_F(CatalogueTest, LayersAreNamedExactly) {
  const std::pair<const char*, int> cases[] = {
      {"blk.0.w", 0},
      {"blk.61.w", 61},
      {"blk.65535.w", 65535},
      {"blk.65536.w", -1},
      {"blk.w", -1},
      {"blk..w", -1},
      {"blk.7", -1},
      {"v.blk.3.w", -1},
      {"blk.-1.w", -1},
      {"blk.3x.w", -1},
      {"blk.99999999999999999999.w", -1},
      {"output.weight", -1},
  };
  GgufBuilder builder;
  for (const auto& [name, layer] : cases) builder.Tensor(name, kGgmlF32, {1});
  const auto model = Read(builder);
  ASSERT_TRUE(model.ok()) << model.status().message();
  for (size_t i = 0; i < std::size(cases); ++i) EXPECT_EQ(model->tensors[i].layer, cases[i].second) << cases[i].first;
}

TEST_F(CatalogueTest, TextsAreFitToPrint) {
  const auto model = Read(GgufBuilder()
                              .Text("general.architecture", "ll\x1b[2Jama")
                              .Text("general.name", std::string(5000, 'n') + "\n")
                              .U32("llama.block_count", 2));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->architecture, "ll?[2Jama");
  EXPECT_EQ(model->name, std::string(1024, 'n'));
}

TEST_F(CatalogueTest, NumbersOfOtherTypesCountAsAbsent) {
  const auto model = Read(GgufBuilder()
                              .Text("general.architecture", "llama")
                              .Text("llama.block_count", "many")
                              .F32("llama.context_length", 1e9F)
                              .I32("llama.embedding_length", -1)
                              .TextArray("llama.attention.head_count", {"8"})
                              .Text("tokenizer.ggml.tokens", "none"));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->layers, 0u);
  EXPECT_EQ(model->context_length, 0u);
  EXPECT_EQ(model->embedding_length, 0u);
  EXPECT_EQ(model->heads, 0u);
  EXPECT_EQ(model->vocabulary, 0u);
}

// Vocabulary, scores, types and merges of 256k tokens: about 18 MB that are passed over.
TEST_F(CatalogueTest, LargeVocabulariesArePassedOver) {
  constexpr size_t kTokens = 262144;
  std::vector<std::string> tokens(kTokens);
  for (size_t i = 0; i < kTokens; ++i) tokens[i] = "token" + std::to_string(i);
  const GgufBuilder builder = GgufBuilder()
                                  .TextArray("tokenizer.ggml.tokens", tokens)
                                  .Array("tokenizer.ggml.scores", kGgufF32, kTokens, std::string(4 * kTokens, 's'))
                                  .I32Array("tokenizer.ggml.token_type", std::vector<int32_t>(kTokens, 1))
                                  .TextArray("tokenizer.ggml.merges", tokens)
                                  .U32("llama.block_count", 9)
                                  .Text("general.architecture", "llama")
                                  .Tensor("w", kGgmlF32, {1});
  ASSERT_TRUE(builder.Write(Path("large.gguf")));
  const auto model = ReadCatalogue(Path("large.gguf"));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->vocabulary, kTokens);
  EXPECT_EQ(model->layers, 9u);
}

TEST_F(CatalogueTest, TheWeightsAreNotRead) {
  for (uint64_t gigabytes : {4, 400}) {
    const auto model = Read(GgufBuilder().Tensor("w", kGgmlF32, {kGiB / 4, gigabytes}));
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->weight_bytes(), gigabytes * kGiB);
  }
}

}  // namespace
}  // namespace headrace
