#include "exec/choice_overlap.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

// Two of 64 experts for each token.
RouterChoice ChoiceOf(std::vector<int32_t> ids) {
  ggml_tensor tensor{};
  tensor.type = GGML_TYPE_I32;
  tensor.data = ids.data();
  tensor.ne[0] = 2;
  tensor.ne[1] = static_cast<int64_t>(ids.size() / 2);
  tensor.ne[2] = tensor.ne[3] = 1;
  tensor.nb[0] = sizeof(int32_t);
  tensor.nb[1] = 2 * sizeof(int32_t);
  return *RouterChoice::Read(tensor, 64);
}

TEST(ChoiceOverlap, ComparesATokenWithTheOneOfThePassBefore) {
  ChoiceOverlap overlap;
  overlap.Add(0, ChoiceOf({1, 2}));
  EXPECT_EQ(overlap.choices(), 0u) << "nothing came before";
  overlap.Add(1, ChoiceOf({1, 2}));
  EXPECT_EQ(overlap.choices(), 0u) << "another layer";
  overlap.Add(0, ChoiceOf({3, 2}));
  EXPECT_EQ(overlap.choices(), 2u);
  EXPECT_EQ(overlap.again(), 1u);
}

TEST(ChoiceOverlap, ComparesTheTokensOfAPromptAndGoesOnFromItsLast) {
  ChoiceOverlap overlap;
  std::vector<int32_t> ids;
  for (int32_t token = 0; token < ChoiceOverlap::kPromptTokens; ++token) ids.insert(ids.end(), {token, 40 + token % 2});
  overlap.Add(0, ChoiceOf(ids));
  EXPECT_EQ(overlap.choices(), 2 * (ids.size() / 2 - 1));
  EXPECT_EQ(overlap.again(), 0u) << "the token before that one counts for nothing";
  overlap.Add(0, ChoiceOf({31, 40}));
  EXPECT_EQ(overlap.again(), 1u);
  ids.assign(2 * ChoiceOverlap::kPromptTokens, 5);
  for (size_t i = 1; i < ids.size(); i += 2) ids[i] = 6;
  const uint64_t before = overlap.choices();
  overlap.Add(0, ChoiceOf(ids));
  EXPECT_EQ(overlap.choices() - before, ids.size()) << "its first token follows the pass before";
  EXPECT_EQ(overlap.again(), 1 + ids.size() - 2);
}

TEST(ChoiceOverlap, TokensOfANarrowPassAreNoNeighbours) {
  ChoiceOverlap overlap;
  overlap.Add(0, ChoiceOf({1, 2}));
  overlap.Add(0, ChoiceOf({1, 2, 1, 2}));
  overlap.Add(0, ChoiceOf({1, 2}));
  EXPECT_EQ(overlap.choices(), 0u);
}

}  // namespace
}  // namespace headrace
