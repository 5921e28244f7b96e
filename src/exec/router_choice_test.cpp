#include "exec/router_choice.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

// Two experts for each of three tokens, in rows of four ids as llama.cpp's view of a sorted list has them.
struct Ids {
  int32_t values[3][4] = {{2, 0, 9, 9}, {2, 3, 9, 9}, {0, 2, 9, 9}};
  ggml_tensor tensor{};
  Ids() {
    tensor.type = GGML_TYPE_I32;
    tensor.data = values;
    tensor.ne[0] = 2;
    tensor.ne[1] = 3;
    tensor.ne[2] = tensor.ne[3] = 1;
    tensor.nb[0] = sizeof(int32_t);
    tensor.nb[1] = sizeof values[0];
  }
};

TEST(RouterChoice, SortsTheTokensByExpert) {
  Ids ids;
  const auto choice = RouterChoice::Read(ids.tensor, 4);
  ASSERT_TRUE(choice.ok()) << choice.status().message();
  EXPECT_EQ(choice->experts(), (std::vector<uint32_t>{2, 0, 3}));
  EXPECT_EQ(choice->tokens(), 3);
  EXPECT_FALSE(choice->Chosen(1));
  ASSERT_EQ(choice->pairs(0).size(), 2u);
  EXPECT_EQ(choice->pairs(0)[0].token, 0);
  EXPECT_EQ(choice->pairs(0)[0].use, 1);
  EXPECT_EQ(choice->pairs(0)[1].token, 2);
  EXPECT_EQ(choice->pairs(0)[1].use, 0);
  EXPECT_EQ(choice->pairs(2).size(), 3u);
}

TEST(RouterChoice, RefusesIdsOutOfRange) {
  Ids ids;
  EXPECT_EQ(RouterChoice::Read(ids.tensor, 3).status().code(), Code::kInternal);
  ids.values[2][1] = -1;
  const auto choice = RouterChoice::Read(ids.tensor, 4);
  ASSERT_FALSE(choice.ok());
  EXPECT_NE(choice.status().message().find("-1 of 4"), std::string::npos) << choice.status().message();
}

}  // namespace
}  // namespace headrace
