#include "serve/api/embedding_input.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

using Tokens = std::vector<int64_t>;

TEST(EmbeddingInput, KeepsWhatTheEnginePutsAroundAText) {
  const Tokens text = {5, 6, 7, 8};
  EXPECT_EQ(CutTokens({1, 5, 6, 7, 8, 2}, text, 6), (Tokens{1, 5, 6, 7, 8, 2}));
  EXPECT_EQ(CutTokens({1, 5, 6, 7, 8, 2}, text, 4), (Tokens{1, 5, 6, 2}));
  EXPECT_EQ(CutTokens({1, 5, 6, 7, 8}, text, 3), (Tokens{1, 5, 6}));
  EXPECT_EQ(CutTokens({5, 6, 7, 8, 2}, text, 2), (Tokens{5, 2}));
  EXPECT_EQ(CutTokens(text, text, 3), (Tokens{5, 6, 7}));
  EXPECT_EQ(CutTokens({1, 9, 6, 7, 8, 2}, text, 3), (Tokens{1, 9, 6})) << "the two are not alike";
  EXPECT_EQ(CutTokens({1, 5, 2}, {5}, 1), Tokens{2});
}

}  // namespace
}  // namespace headrace::serve
