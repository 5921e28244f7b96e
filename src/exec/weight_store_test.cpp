// What of the weights stays in memory when a draft head is among them. Nothing is computed.
#include "exec/weight_store.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/size.h"
#include "exec/made_up_tensors_test.h"
#include "exec/pass_plan.h"

namespace headrace {
namespace {

constexpr int64_t kRowElements = 1024, kRows = 256;
constexpr uint64_t kWeightBytes = kRowElements * sizeof(float) * kRows;  // 1 MiB
constexpr size_t kLayers = 7;

// Seven layers, the output, and the head's projection; all of one size.
class HeadWeights : public testing::Test {
 protected:
  HeadWeights() {
    for (size_t i = 0; i <= kLayers; ++i)
      Add(i == kLayers ? "output.weight" : "blk." + std::to_string(i) + ".attn_q.weight");
    Add("blk.7.nextn.eh_proj.weight");
    for (size_t i = 0; i <= kLayers; ++i) model_.push_back(i);
    store_.SetLimit(4 * kMiB + FloorBytes(std::vector<WeightExtent>{{kRows, kWeightBytes / kRows, 0, false}}));
  }
  void Add(const std::string& name) {
    ggml_tensor& weight = weights_.emplace_back();
    Shape(weight, {kRowElements, kRows});
    weight.data = reinterpret_cast<void*>(kMiB * weights_.size());  // nobody looks there
    std::strncpy(weight.name, name.c_str(), sizeof weight.name - 1);
  }
  // A pass with these weights.
  void Pass(const std::vector<size_t>& weights) {
    std::vector<ggml_tensor> nodes(weights.size());
    std::vector<ManagedProduct> products;
    for (size_t i = 0; i < weights.size(); ++i) {
      nodes[i].op = GGML_OP_MUL_MAT;
      nodes[i].src[0] = &weights_[weights[i]];
      Shape(nodes[i], {kRows, 1});
      ManagedProduct& product = products.emplace_back();
      product.takeover.node = &nodes[i];
      product.weight = &weights_[weights[i]];
      product.origin = {file_, kMiB * weights[i], 0};
    }
    MakePassPlan(api_, std::move(products), nullptr, store_, experts_, plan_);
    const Status planned = store_.Replan(0);
    ASSERT_TRUE(planned.ok()) << planned.message();
  }
  uint64_t RowsOf(size_t weight) {
    return store_.FindOrAdd(weights_[weight], {file_, kMiB * weight, 0}, false)->target_rows;
  }

  const GgmlApi api_ = MadeUpApi();
  std::shared_ptr<const SourceFile> file_ = [] {
    auto file = SourceFile::Open("/proc/self/exe", SourceFile::Access::kBuffered);
    return std::make_shared<const SourceFile>(std::move(*file));
  }();
  std::vector<ggml_tensor> weights_ = [] {
    std::vector<ggml_tensor> none;
    none.reserve(kLayers + 2);
    return none;
  }();
  std::vector<size_t> model_;
  WeightStore store_{api_, nullptr, false};
  ExpertStore experts_{std::nullopt};
  PassPlan plan_;
};

TEST_F(HeadWeights, StayResidentBeforeAllOthers) {
  Pass(model_);
  EXPECT_FALSE(plan_.of_head);
  EXPECT_LT(RowsOf(kLayers), static_cast<uint64_t>(kRows)) << "half of each weight";
  Pass({kLayers + 1, kLayers});
  EXPECT_TRUE(plan_.of_head);
  EXPECT_EQ(RowsOf(kLayers + 1), static_cast<uint64_t>(kRows));
  EXPECT_EQ(RowsOf(kLayers), static_cast<uint64_t>(kRows)) << "the head multiplies with the output too";
  EXPECT_LT(RowsOf(0), static_cast<uint64_t>(kRows));
  Pass(model_);
  EXPECT_FALSE(plan_.of_head);
  EXPECT_EQ(RowsOf(kLayers), static_cast<uint64_t>(kRows)) << "in the model's pass, too";
}

}  // namespace
}  // namespace headrace
