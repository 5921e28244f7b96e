#include "cli/model_weights.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

TensorEntry Tensor(const std::string& name, std::array<uint64_t, 4> shape, uint64_t bytes_per_element = 2) {
  TensorEntry tensor;
  tensor.name = name;
  tensor.shape = shape;
  tensor.bytes = shape[0] * shape[1] * shape[2] * shape[3] * bytes_per_element;
  return tensor;
}

Catalogue Dense() {
  Catalogue catalogue;
  catalogue.tensors = {
      Tensor("token_embd.weight", {256, 1000, 1, 1}),  Tensor("output.weight", {256, 1000, 1, 1}),
      Tensor("blk.0.attn_norm.weight", {256, 1, 1, 1}), Tensor("blk.0.attn_q.weight", {256, 256, 1, 1}),
      Tensor("blk.0.attn_q.bias", {256, 1, 1, 1}),      Tensor("blk.0.ffn_down.weight", {1024, 256, 1, 1}),
      Tensor("blk.0.ssm_conv1d.weight", {4, 256, 1, 1}),
  };
  return catalogue;
}

TEST(SelectWeights, MatricesInFileOrderOutputLast) {
  const ModelWeights weights = SelectWeights(Dense());
  ASSERT_EQ(weights.extents.size(), 3u);
  EXPECT_EQ(weights.extents[0].rows, 256u);
  EXPECT_EQ(weights.extents[0].row_bytes, 512u);
  EXPECT_EQ(weights.extents[1].row_bytes, 2048u);
  EXPECT_EQ(weights.extents[2].rows, 1000u);
  EXPECT_EQ(weights.managed_bytes, 2u * (256 * 256 + 1024 * 256 + 256 * 1000));
  EXPECT_EQ(weights.managed_bytes + weights.other_bytes, Dense().weight_bytes());
  EXPECT_EQ(weights.widest, "blk.0.ffn_down.weight");
  EXPECT_EQ(weights.widest_group_bytes, 64u * 2048);
  EXPECT_DOUBLE_EQ(weights.active_parameters, 256 * 256 + 1024 * 256 + 256 * 1000);
}

TEST(SelectWeights, ATiedEmbeddingIsTheOutput) {
  Catalogue catalogue = Dense();
  catalogue.tensors.erase(catalogue.tensors.begin() + 1);
  const ModelWeights weights = SelectWeights(catalogue);
  ASSERT_EQ(weights.extents.size(), 3u);
  EXPECT_EQ(weights.extents.back().rows, 1000u);
}

TEST(SelectWeights, ExpertsAreCountedApart) {
  Catalogue catalogue = Dense();
  catalogue.experts = 8;
  catalogue.experts_used = 2;
  catalogue.tensors.push_back(Tensor("blk.0.ffn_up_exps.weight", {256, 64, 8, 1}));
  const ModelWeights weights = SelectWeights(catalogue);
  ASSERT_EQ(weights.extents.size(), 4u);
  EXPECT_TRUE(weights.extents[2].experts);
  EXPECT_EQ(weights.extents[2].rows, 64u * 8);
  EXPECT_EQ(weights.expert_bytes, 2u * 256 * 64 * 8);
  EXPECT_EQ(weights.active_expert_bytes, 2u * 256 * 64 * 2);
  EXPECT_EQ(weights.managed_bytes, SelectWeights(Dense()).managed_bytes);
  EXPECT_DOUBLE_EQ(weights.active_parameters - SelectWeights(Dense()).active_parameters, 256 * 64 * 2);
}

}  // namespace
}  // namespace headrace::cli
