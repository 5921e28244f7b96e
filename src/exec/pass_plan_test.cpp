// Which products of a graph are managed, by whom they are computed. The devices are made up: not every machine has one
// beside its processor.
#include "exec/pass_plan.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <gtest/gtest.h>

#include "base/size.h"
#include "exec/made_up_tensors_test.h"

namespace headrace {
namespace {

constexpr int64_t kColumns = 32, kRows = 64, kExperts = 4;

struct Device {
  enum ggml_backend_dev_type type;
};
Device g_cpu{GGML_BACKEND_DEVICE_TYPE_CPU}, g_blas{GGML_BACKEND_DEVICE_TYPE_ACCEL}, g_gpu{GGML_BACKEND_DEVICE_TYPE_GPU};

// A graph of one product, and who computes it.
struct Scheduled {
  ggml_tensor* node;
  Device* device;
};

GgmlApi Api() {
  GgmlApi api = MadeUpApi();
  api.graph_n_nodes = [](ggml_cgraph*) { return 1; };
  api.graph_node = [](ggml_cgraph* graph, int) { return reinterpret_cast<Scheduled*>(graph)->node; };
  api.backend_sched_get_n_backends = [](ggml_backend_sched_t) { return 2; };
  api.backend_sched_get_backend = [](ggml_backend_sched_t, int i) {
    return i == 1 ? reinterpret_cast<ggml_backend_t>(&g_cpu) : nullptr;
  };
  api.backend_sched_get_tensor_backend = [](ggml_backend_sched_t sched, ggml_tensor*) {
    return reinterpret_cast<ggml_backend_t>(reinterpret_cast<Scheduled*>(sched)->device);
  };
  api.backend_get_device = [](ggml_backend_t backend) { return reinterpret_cast<ggml_backend_dev_t>(backend); };
  api.backend_dev_type = [](ggml_backend_dev_t device) { return reinterpret_cast<Device*>(device)->type; };
  return api;
}

class FindProductsTest : public ::testing::Test {
 protected:
  FindProductsTest() {
    Shape(weight_, {kColumns, kRows, kExperts});
    weight_.data = memory_.get();
    mappings_.Add(memory_.get(), kBytes, {nullptr, 4096, 1});
    node_.src[0] = &weight_;
    node_.src[1] = &columns_;
  }
  void MakeProduct() {
    node_.op = GGML_OP_MUL_MAT;
    Shape(node_, {kRows, 5, kExperts});
  }
  // Of two of the experts for each of five tokens.
  void MakeExpertProduct() {
    node_.op = GGML_OP_MUL_MAT_ID;
    node_.src[2] = &ids_;
    Shape(node_, {kRows, 2, 5});
    Shape(columns_, {kColumns, 2, 5});
    Shape(ids_, {2, 5});
    ids_.type = GGML_TYPE_I32;
  }
  std::vector<ManagedProduct> Find(Device* device, std::span<const MappedWeight> mapped = {}) {
    Scheduled scheduled{&node_, device};
    return FindProducts(api_, reinterpret_cast<ggml_backend_sched_t>(&scheduled),
                        reinterpret_cast<ggml_cgraph*>(&scheduled), mapped, mappings_);
  }
  bool LeftToKernel() const { return !mappings_.Streams(memory_.get(), kBytes); }

  static constexpr size_t kBytes = sizeof(float) * kColumns * kRows * kExperts;
  const GgmlApi api_ = Api();
  std::unique_ptr<void, decltype(&std::free)> memory_{std::aligned_alloc(kReadAlignment, kBytes), &std::free};
  MappingTable mappings_;
  ExpertStacks stacks_;
  ggml_tensor weight_{}, columns_{}, ids_{}, node_{};
};

TEST_F(FindProductsTest, OfTheProcessorAreManaged) {
  MakeProduct();
  const auto products = Find(&g_cpu);
  ASSERT_EQ(products.size(), 1u);
  EXPECT_EQ(products[0].takeover.node, &node_);
  EXPECT_FALSE(products[0].takeover.elsewhere);
  EXPECT_EQ(products[0].origin.offset, 4096u);
  MakeExpertProduct();
  EXPECT_EQ(Find(&g_cpu).size(), 1u);
  EXPECT_FALSE(LeftToKernel());
}

TEST_F(FindProductsTest, OfALibraryOnTheProcessorAreManagedAndComputedByIt) {
  MakeProduct();
  const auto products = Find(&g_blas);
  ASSERT_EQ(products.size(), 1u);
  EXPECT_TRUE(products[0].takeover.elsewhere);
  EXPECT_EQ(products[0].takeover.backend, reinterpret_cast<ggml_backend_t>(&g_cpu));
  EXPECT_FALSE(LeftToKernel());
  MakeExpertProduct();
  EXPECT_TRUE(Find(&g_blas).empty());
  EXPECT_TRUE(LeftToKernel());
}

TEST_F(FindProductsTest, OfAnotherDeviceAreUploads) {
  MakeProduct();
  const auto products = Find(&g_gpu);
  ASSERT_EQ(products.size(), 1u);
  EXPECT_TRUE(products[0].takeover.upload);
  EXPECT_FALSE(products[0].takeover.elsewhere);
  EXPECT_EQ(products[0].takeover.backend, reinterpret_cast<ggml_backend_t>(&g_gpu));
  MakeExpertProduct();
  EXPECT_EQ(Find(&g_gpu).size(), 1u);
  EXPECT_FALSE(LeftToKernel());
}

TEST_F(FindProductsTest, UploadsAreFoundWhenTheNodeNamesTheCopyOnTheDevice) {
  MakeProduct();
  Scheduled scheduled{&node_, &g_gpu};
  const auto mapped = FindMappedWeights(api_, reinterpret_cast<ggml_cgraph*>(&scheduled), mappings_, stacks_);
  ASSERT_EQ(mapped.size(), 1u);
  std::vector<uint8_t> device(kBytes);
  ggml_tensor copy = weight_;
  copy.data = device.data();
  node_.src[0] = &copy;
  EXPECT_TRUE(Find(&g_gpu).empty());
  const auto products = Find(&g_gpu, mapped);
  ASSERT_EQ(products.size(), 1u);
  EXPECT_EQ(products[0].weight, &weight_);
  EXPECT_TRUE(products[0].takeover.upload);
}

// The engine computes with a tensor of its own on the device, which has room for fewer experts.
TEST_F(FindProductsTest, WithExpertsThatTheEngineKeepsOnADeviceAreUploads) {
  MakeExpertProduct();
  std::strcpy(weight_.name, "blk.0.ffn_up_exps.weight");
  stacks_.Add(weight_);
  ggml_tensor kept{};
  Shape(kept, {kColumns, kRows, 2});
  kept.data = &kept;
  std::strcpy(kept.name, "moe_cache.blk.0.ffn_up_exps.weight");
  node_.src[0] = &kept;
  Scheduled scheduled{&node_, &g_gpu};
  const auto mapped = FindMappedWeights(api_, reinterpret_cast<ggml_cgraph*>(&scheduled), mappings_, stacks_);
  ASSERT_EQ(mapped.size(), 1u);
  const auto products = Find(&g_gpu, mapped);
  ASSERT_EQ(products.size(), 1u);
  EXPECT_TRUE(products[0].takeover.upload && products[0].takeover.kept);
  EXPECT_EQ(products[0].weight->data, weight_.data);
  EXPECT_EQ(products[0].origin.offset, 4096u);
  EXPECT_TRUE(Find(&g_cpu, mapped).empty());
}

TEST_F(FindProductsTest, OfNobodyAreNobodys) {
  MakeProduct();
  EXPECT_TRUE(Find(nullptr).empty());
  EXPECT_FALSE(LeftToKernel());
  mappings_.Remove(memory_.get(), kBytes);
  EXPECT_TRUE(Find(&g_cpu).empty()) << "another model's";
}

TEST_F(FindProductsTest, OfExpertsThatAreNoPlainStackAreLeftToTheKernel) {
  MakeExpertProduct();
  weight_.ne[2] = kExperts / 2;
  weight_.nb[2] *= 2;  // every second one
  EXPECT_TRUE(Find(&g_cpu).empty());
  EXPECT_TRUE(LeftToKernel());
}

}  // namespace
}  // namespace headrace
