#include "shared_experts.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

// One layer that chooses two experts for each token.
TextChoices Text(const std::vector<std::vector<uint32_t>>& tokens) {
  std::vector<RouterStep> trace;
  for (const auto& experts : tokens) trace.push_back({0, experts});
  return TextChoices::Of(trace);
}

TEST(SharedExperts, OfNeighbours) {
  const TextChoices text = Text({{1, 2}, {2, 3}, {4, 5}, {4, 5}});
  EXPECT_EQ(text.tokens(), 4u);
  EXPECT_DOUBLE_EQ(ExpertsOfNeighbours(text, 1), 2);
  EXPECT_DOUBLE_EQ(ExpertsOfNeighbours(text, 2), 2.5);
  EXPECT_DOUBLE_EQ(ExpertsOfNeighbours(text, 4), 5);
  EXPECT_EQ(ExpertsOfNeighbours(text, 5), 0);
}

TEST(SharedExperts, OfTexts) {
  const std::vector<TextChoices> texts = {Text({{1, 2}, {2, 3}, {4, 5}, {4, 5}}),
                                          Text({{1, 9}, {8, 9}, {4, 9}, {9, 6}})};
  EXPECT_DOUBLE_EQ(ExpertsOfTexts(texts, 1), 2);
  EXPECT_DOUBLE_EQ(ExpertsOfTexts(texts, 2), (3 + 4 + 3 + 4) / 4.0);
  EXPECT_DOUBLE_EQ(ExpertsOfTexts(texts, 4), (5 + 7) / 2.0) << "1 2 4 5 9, and 2 3 4 5 6 8 9";
  EXPECT_EQ(ExpertsOfTexts({}, 2), 0);
}

TEST(SharedExperts, MissesOfACacheThatTheyShare) {
  const std::vector<TextChoices> texts = {Text({{0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}}),
                                          Text({{2, 3}, {2, 3}, {2, 3}, {2, 3}, {2, 3}, {2, 3}})};
  EXPECT_EQ(MissesTogether(std::span(texts).first(1), 1, 8, 0.25), 0)
      << "two places for two experts, read while nothing counts";
  EXPECT_EQ(MissesTogether(texts, 1, 8, 0.25), 2) << "each pass finds the two that the last one held";
  EXPECT_EQ(MissesTogether(texts, 1, 8, 0.5), 0);
  EXPECT_EQ(MissesTogether({}, 1, 8, 0.5), 0);
}

TEST(SharedExperts, LayersCountAlike) {
  const std::vector<RouterStep> trace = {{0, {1}}, {1, {1}}, {0, {1}}, {1, {2}}};
  EXPECT_DOUBLE_EQ(ExpertsOfNeighbours(TextChoices::Of(trace), 2), 1.5);
}

}  // namespace
}  // namespace headrace
