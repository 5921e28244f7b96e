#include "setup/device_weights.h"

#include <gtest/gtest.h>

#include "setup/model_weights.h"

namespace headrace::cli {
namespace {

using Arguments = std::vector<std::string>;

TensorEntry Tensor(const std::string& name, uint64_t bytes = 1) {
  TensorEntry tensor;
  tensor.name = name;
  tensor.shape = {1, bytes, 1, 1};
  tensor.bytes = bytes;
  if (name.starts_with("blk.")) tensor.layer = std::stoi(name.substr(4));
  return tensor;
}

// Two layers of a mixture.
Catalogue Mixture(bool tied = false) {
  Catalogue catalogue;
  catalogue.layers = 2;
  catalogue.tensors = {Tensor("token_embd.weight", 1000), Tensor("output_norm.weight", 2)};
  if (!tied) catalogue.tensors.push_back(Tensor("output.weight", 3000));
  for (int i = 0; i < 2; ++i) {
    const std::string layer = "blk." + std::to_string(i);
    for (const auto& [name, bytes] : {std::pair{".attn_q.weight", 10u},
                                      {".ffn_gate_inp.weight", 20u},
                                      {".ffn_up_shexp.weight", 30u},
                                      {".ffn_up_exps.weight", 400u},
                                      {".ffn_gate_up_chexps.weight", 500u}}) {
      catalogue.tensors.push_back(Tensor(layer + name, bytes));
    }
  }
  return catalogue;
}

TEST(PartOf, FollowsTheEnginesPatterns) {
  EXPECT_EQ(PartOf(Tensor("token_embd.weight")), WeightPart::kInput);
  EXPECT_EQ(PartOf(Tensor("token_embd_norm.weight")), WeightPart::kOutput);
  EXPECT_EQ(PartOf(Tensor("output.weight")), WeightPart::kOutput);
  EXPECT_EQ(PartOf(Tensor("blk.3.attn_q.weight")), WeightPart::kShared);
  EXPECT_EQ(PartOf(Tensor("blk.3.ffn_up.weight")), WeightPart::kFfn);
  EXPECT_EQ(PartOf(Tensor("blk.3.ffn_down.bias")), WeightPart::kFfn);
  EXPECT_EQ(PartOf(Tensor("blk.3.ffn_norm.weight")), WeightPart::kShared);
  EXPECT_EQ(PartOf(Tensor("blk.3.ffn_gate_inp.weight")), WeightPart::kShared);
  EXPECT_EQ(PartOf(Tensor("blk.3.ffn_up_shexp.weight")), WeightPart::kShared);
  EXPECT_EQ(PartOf(Tensor("blk.3.ffn_gate_exps.weight")), WeightPart::kExperts);
  EXPECT_EQ(PartOf(Tensor("blk.3.ffn_gate_up_exps.weight")), WeightPart::kExperts);
  EXPECT_EQ(PartOf(Tensor("blk.3.ffn_down_chexps.weight")), WeightPart::kExperts);
}

TEST(PlacesWeights, WhoeverSaysWhatGoesThereDecides) {
  for (const Arguments& words : {Arguments{"-ngl", "3"},
                                 {"--n-gpu-layers", "all"},
                                 {"-cmoe"},
                                 {"-ncmoe", "2"},
                                 {"-ncffn", "2"},
                                 {"-ot", "exps=CPU"},
                                 {"-dev", "none"},
                                 {"-fit", "on"}}) {
    EXPECT_TRUE(PlacesWeights(words)) << words[0];
  }
  for (const Arguments& words : {Arguments{},
                                 {"-fit", "off"},
                                 {"--fit", "off"},
                                 {"-dev", "CUDA0"},
                                 {"-ts", "1,1"},
                                 {"-m", "-ngl"},
                                 {"-fitt", "512"}}) {
    EXPECT_FALSE(PlacesWeights(words)) << (words.empty() ? "" : words[0]);
  }
  EXPECT_TRUE(LetsEnginePlace({"--fit", "on"}));
  EXPECT_FALSE(LetsEnginePlace({"--fit", "on", "--fit", "off"}));
}

TEST(MayUse, NamesOfDevicesAreWhole) {
  EXPECT_TRUE(MayUse({}, "CUDA0"));
  EXPECT_TRUE(MayUse({"-dev", "CUDA1,CUDA0"}, "CUDA0"));
  EXPECT_FALSE(MayUse({"-dev", "CUDA1,CUDA01"}, "CUDA0"));
  EXPECT_FALSE(MayUse({"-dev", "none"}, "CUDA0"));
}

// Bytes on devices and of the weights that are left to the processor.
void Expect(const Arguments& arguments, uint64_t device_bytes, uint64_t dense, uint64_t experts, bool tied = false) {
  const Catalogue catalogue = Mixture(tied);
  const ModelWeights weights = SelectWeights(catalogue, OnDeviceBy(arguments, catalogue));
  const std::string words = arguments.empty() ? "no options" : arguments.back();
  EXPECT_EQ(weights.device_bytes, device_bytes) << words;
  EXPECT_EQ(weights.managed_bytes, dense) << words;
  EXPECT_EQ(weights.expert_bytes, experts) << words;
  EXPECT_EQ(weights.device_bytes + weights.managed_bytes + weights.expert_bytes + weights.other_bytes,
            catalogue.weight_bytes())
      << words;
}

TEST(OnDeviceBy, TheProcessorHasTheRest) {
  Expect({}, 4922, 0, 0);  // all layers, as the engine does
  Expect({"-ngl", "auto"}, 4922, 0, 0);
  Expect({"-ngl", "0"}, 0, 3120, 1800);
  Expect({"-ngl", "1"}, 3002, 120, 1800);
  Expect({"-ngl", "2"}, 3962, 60, 900);
  Expect({"-ngl", "99", "-ncmoe", "1"}, 4022, 0, 900);
  Expect({"-cmoe"}, 3122, 0, 1800);
  Expect({"-dev", "none"}, 0, 3120, 1800);
  Expect({"-ngl", "99", "-ot", "blk\\.1\\.ffn_.*_exps=CPU,output\\.weight=CPU"}, 4922 - 3000 - 400, 3000, 400);
  Expect({"-ngl", "0", "-ot", "attn_q=CUDA0"}, 20, 3100, 1800);
  Expect({"-ngl", "0", "-ot", "(=CPU"}, 0, 3120, 1800);  // which the engine refuses
}

// Its copy on a device leaves the table where it is, to be looked up.
TEST(OnDeviceBy, ATiedOutputIsACopy) {
  Expect({"-ngl", "99"}, 1922, 0, 0, true);
  Expect({"-ngl", "0"}, 0, 1120, 1800, true);
}

TEST(PlacementModelOf, LayersByPart) {
  const PlacementModel model = PlacementModelOf(Mixture());
  ASSERT_EQ(model.layers.size(), 2u);
  EXPECT_EQ(model.layers[1].shared, 60u);
  EXPECT_EQ(model.layers[1].experts, 900u);
  EXPECT_EQ(model.layers[1].ffn, 0u);
  EXPECT_EQ(model.output_bytes, 3002u);
  EXPECT_EQ(PlacementModelOf(Mixture(true)).output_bytes, 1002u);
}

}  // namespace
}  // namespace headrace::cli
