#include "setup/model_weights.h"

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
      Tensor("token_embd.weight", {256, 1000, 1, 1}),    Tensor("output.weight", {256, 1000, 1, 1}),
      Tensor("blk.0.attn_norm.weight", {256, 1, 1, 1}),  Tensor("blk.0.attn_q.weight", {256, 256, 1, 1}),
      Tensor("blk.0.attn_q.bias", {256, 1, 1, 1}),       Tensor("blk.0.ffn_down.weight", {1024, 256, 1, 1}),
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

Catalogue Larger() {
  Catalogue catalogue = Dense();
  catalogue.tensors.push_back(Tensor("blk.0.ffn_up.weight", {256, 8192, 1, 1}));
  return catalogue;
}

// With a block that drafts.
Catalogue WithHead() {
  Catalogue catalogue = Larger();
  catalogue.experts = 8;
  catalogue.experts_used = 2;
  catalogue.layers = 2;
  catalogue.head_blocks = 1;
  for (TensorEntry& tensor : catalogue.tensors) tensor.layer = tensor.name.starts_with("blk.") ? 0 : -1;
  for (TensorEntry tensor :
       {Tensor("blk.1.attn_q.weight", {256, 256, 1, 1}), Tensor("blk.1.ffn_up_exps.weight", {256, 64, 8, 1}),
        Tensor("blk.1.nextn.eh_proj.weight", {512, 256, 1, 1}), Tensor("blk.1.nextn.enorm.weight", {256, 1, 1, 1})}) {
    tensor.layer = 1;
    catalogue.tensors.push_back(tensor);
  }
  return catalogue;
}

TEST(SelectWeights, AHeadThatDoesNotDraftIsLeftAlone) {
  const ModelWeights weights = SelectWeights(WithHead()), plain = SelectWeights(Larger());
  EXPECT_FALSE(weights.uses_head);
  EXPECT_EQ(weights.extents.size(), plain.extents.size());
  EXPECT_EQ(weights.managed_bytes, plain.managed_bytes);
  EXPECT_EQ(weights.other_bytes, plain.other_bytes);
  EXPECT_EQ(weights.expert_bytes, 0u);
  EXPECT_EQ(weights.head_bytes, 2u * (256 * 256 + 256 * 64 * 8 + 512 * 256 + 256));
  EXPECT_EQ(weights.head_kept_bytes, 0u);
}

TEST(SelectWeights, AHeadThatDraftsIsASmallModelBesideAndSharesTheOutput) {
  const auto nothing = [](const TensorEntry&) { return false; };
  const ModelWeights weights = SelectWeights(WithHead(), nothing, true), plain = SelectWeights(Larger());
  EXPECT_TRUE(weights.uses_head);
  ASSERT_EQ(weights.extents.size(), plain.extents.size() + 3);
  EXPECT_EQ(weights.extents[0].model, 0u);
  EXPECT_EQ(weights.extents[2].model, 0u);
  EXPECT_EQ(weights.extents[3].model, 1u);
  EXPECT_EQ(weights.extents.back().model, 1u) << "the output";
  const uint64_t output = 2 * 256 * 1000, own = 2 * (256 * 256 + 512 * 256), experts = 2 * 256 * 64 * 2;
  EXPECT_EQ(weights.head_kept_bytes, own + output);
  EXPECT_EQ(weights.head_expert_bytes, experts);
  EXPECT_EQ(weights.head_token_bytes, own + output + experts);
  EXPECT_DOUBLE_EQ(weights.active_parameters, plain.active_parameters) << "a pass of the model does not compute it";
  EXPECT_EQ(weights.active_expert_bytes, 0u);
  // With memory for a part of the model the head has all of its own.
  const auto plan =
      PlanResidency(weights.extents, weights.floor_bytes() + weights.head_kept_bytes + weights.managed_bytes / 4, 0);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  for (size_t i = 0; i < weights.extents.size(); ++i) {
    const WeightExtent& extent = weights.extents[i];
    if (extent.model == 1 && !extent.experts) {
      EXPECT_EQ(plan->resident_rows[i], extent.rows) << i;
    }
  }
  EXPECT_GT(plan->streamed_bytes, 0u);
  Catalogue own_output = WithHead();
  own_output.tensors.push_back(Tensor("blk.1.nextn.shared_head_head.weight", {256, 1000, 1, 1}));
  own_output.tensors.back().layer = 1;
  EXPECT_EQ(SelectWeights(own_output, nothing, true).extents.back().model, 0u);
}

}  // namespace
}  // namespace headrace::cli
