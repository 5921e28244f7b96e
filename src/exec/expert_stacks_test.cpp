#include "exec/expert_stacks.h"

#include <cstring>

#include <gtest/gtest.h>

namespace headrace {
namespace {

ggml_tensor Stack(const char* name, void* data) {
  ggml_tensor tensor{};
  tensor.type = GGML_TYPE_Q4_0;
  tensor.ne[0] = 64;
  tensor.ne[1] = 32;
  tensor.ne[2] = 8;
  tensor.ne[3] = 1;
  tensor.data = data;
  std::strncpy(tensor.name, name, sizeof tensor.name - 1);
  return tensor;
}

class ExpertStacksTest : public ::testing::Test {
 protected:
  ExpertStacksTest() { stacks_.Add(Stack("blk.1.ffn_up_exps.weight", &memory_[0])); }
  char memory_[2] = {};
  ExpertStacks stacks_;
};

TEST_F(ExpertStacksTest, AreFoundByTheNameOfACache) {
  const auto found = stacks_.KeptIn(Stack("moe_cache.blk.1.ffn_up_exps.weight", nullptr));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->data, &memory_[0]);
  EXPECT_EQ(stacks_.KeptIn(Stack("moe_cache.blk.11.ffn_up_exps.weight", nullptr)), nullptr);
  EXPECT_EQ(stacks_.KeptIn(Stack("moe_cacheblk.1.ffn_up_exps.weight", nullptr)), nullptr);
  EXPECT_EQ(stacks_.KeptIn(Stack("blk.1.ffn_up_exps.weight", nullptr)), nullptr)
      << "that is the stack itself, on a device";
  ggml_tensor other = Stack("moe_cache.blk.1.ffn_up_exps.weight", nullptr);
  other.ne[1] = 33;
  EXPECT_EQ(stacks_.KeptIn(other), nullptr);
}

TEST_F(ExpertStacksTest, OfTwoModelsAreNotTold) {
  stacks_.Add(Stack("blk.1.ffn_up_exps.weight", &memory_[1]));
  EXPECT_EQ(stacks_.KeptIn(Stack("moe_cache.blk.1.ffn_up_exps.weight", nullptr)), nullptr);
  stacks_.Remove(&memory_[0], 1);
  EXPECT_NE(stacks_.KeptIn(Stack("moe_cache.blk.1.ffn_up_exps.weight", nullptr)), nullptr);
}

TEST_F(ExpertStacksTest, AtTheSameAddressReplaceTheLastOne) {
  stacks_.Add(Stack("blk.2.ffn_up_exps.weight", &memory_[0]));
  EXPECT_EQ(stacks_.KeptIn(Stack("moe_cache.blk.1.ffn_up_exps.weight", nullptr)), nullptr);
  EXPECT_NE(stacks_.KeptIn(Stack("moe_cache.blk.2.ffn_up_exps.weight", nullptr)), nullptr);
}

}  // namespace
}  // namespace headrace
