#include "engine/draft_head.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

Catalogue WithHead(uint64_t blocks) {
  Catalogue catalogue;
  catalogue.architecture = "glm4moe";
  catalogue.layers = 3 + blocks;
  catalogue.head_blocks = blocks;
  catalogue.embedding_length = 512;
  catalogue.heads = 8;
  catalogue.heads_kv = 2;
  for (int i = 0; i < static_cast<int>(catalogue.layers); ++i) {
    for (const char* part : {"attn_q.weight", "nextn.eh_proj.weight"}) {
      if (i < 3 && std::string_view(part).starts_with("nextn")) continue;
      TensorEntry tensor;
      tensor.name = "blk." + std::to_string(i) + "." + part;
      tensor.layer = i;
      catalogue.tensors.push_back(tensor);
    }
  }
  return catalogue;
}

TEST(DraftHead, IsTheLastBlocksWhereTheFileHasThem) {
  const Catalogue one = WithHead(1);
  EXPECT_EQ(HeadBlocks(one), 1u);
  EXPECT_FALSE(IsOfHead(one, one.tensors[2]));
  EXPECT_TRUE(IsOfHead(one, one.tensors[3]));
  EXPECT_TRUE(IsOfHead(one, one.tensors[4]));
  EXPECT_EQ(HeadBlocks(WithHead(2)), 2u);
  EXPECT_EQ(HeadBlocks(WithHead(0)), 0u);
  Catalogue stripped = WithHead(1);
  stripped.tensors.pop_back();
  EXPECT_EQ(HeadBlocks(stripped), 0u) << "the metadata alone";
  Catalogue damaged = WithHead(1);
  for (const uint64_t blocks : {uint64_t{4}, UINT64_MAX}) {
    damaged.head_blocks = blocks;
    EXPECT_EQ(HeadBlocks(damaged), 0u);
    EXPECT_FALSE(IsOfHead(damaged, damaged.tensors[4]));
  }
}

TEST(DraftHead, MayHaveAnOutputOfItsOwn) {
  Catalogue catalogue = WithHead(1);
  EXPECT_FALSE(HeadHasOutput(catalogue));
  catalogue.tensors.back().name = "blk.3.nextn.shared_head_head.weight";
  EXPECT_TRUE(HeadHasOutput(catalogue));
}

TEST(DraftHead, ArgumentsThatUseIt) {
  EXPECT_TRUE(DraftsWithHead(HeadArguments()));
  EXPECT_TRUE(DraftsWithHead({"-m", "m.gguf", "--spec-type", "ngram-mod,draft-mtp"}));
  EXPECT_FALSE(DraftsWithHead({"--spec-type", "draft-simple"}));
  EXPECT_FALSE(DraftsWithHead({"--spec-type", "draft-mtp", "-md", "head.gguf"})) << "the head is in a file of its own";
  EXPECT_FALSE(DraftsWithHead({"-m", "draft-mtp"}));
}

TEST(DraftHead, TheEnginesLibraryNamesTheArchitecturesThatItCanDo) {
  EXPECT_TRUE(NamesHeadGraph("N20llama_model_glm4_moe9graph_mtpE", "glm4moe"));
  using namespace std::string_literals;
  const std::string content =
      "\0_ZN20llama_model_glm4_moe9graph_mtpC1ERK\0N19llama_model_glm_dsa9graph_mtpE\0N18llama_model_qwen359graph_mtpE\0N17llama_model_llama5graphE\0"s;
  EXPECT_TRUE(NamesHeadGraph(content, "glm-dsa"));
  EXPECT_TRUE(NamesHeadGraph(content, "qwen35"));
  EXPECT_FALSE(NamesHeadGraph(content, "qwen35moe"));
  EXPECT_FALSE(NamesHeadGraph(content, "llama"));
  EXPECT_FALSE(NamesHeadGraph(content, "glm4moe")) << "no more than a symbol";
  EXPECT_FALSE(NamesHeadGraph(content, ""));
  EXPECT_FALSE(NamesHeadGraph("9graph_mtpE", "glm4moe"));
}

TEST(DraftHead, KeysAndValuesOfAToken) {
  Catalogue catalogue = WithHead(1);
  EXPECT_EQ(HeadTokenBytes(catalogue), 2u * 2 * (64 + 64));
  catalogue.key_length = 192;
  catalogue.value_length = 128;
  EXPECT_EQ(HeadTokenBytes(catalogue), 2u * 2 * (192 + 128));
}

}  // namespace
}  // namespace headrace::cli
