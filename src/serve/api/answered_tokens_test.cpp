#include "serve/api/answered_tokens.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

AnsweredTokens Read(const std::string& text, size_t step) {
  AnsweredTokens tokens;
  for (size_t i = 0; i < text.size(); i += step) tokens.Feed(std::string_view(text).substr(i, step));
  return tokens;
}

TEST(AnsweredTokens, OfEveryApiInPiecesOfAnySize) {
  const std::string filler(300, 'x');
  for (const size_t step : {1, 7, 1000}) {
    const auto usage =
        Read(R"({"usage":{"completion_tokens":15,"prompt_tokens":1234,"total_tokens":9}})" + filler, step);
    EXPECT_EQ(usage.in(), 1234u);
    EXPECT_EQ(usage.out(), 15u);
    const auto timings = Read(filler + R"(data: {"timings":{"cache_n":7,"prompt_n":5,"predicted_n":32}})", step);
    EXPECT_EQ(timings.in(), 12u);
    EXPECT_EQ(timings.out(), 32u);
    const auto messages =
        Read(R"({"usage":{"input_tokens":8,"output_tokens":0}})" + filler + R"({"usage":{"output_tokens": 21}})", step);
    EXPECT_EQ(messages.in(), 8u);
    EXPECT_EQ(messages.out(), 21u);
    EXPECT_EQ(Read(filler, step).in(), std::nullopt);
  }
}

TEST(AnsweredTokens, NotWhatAModelWrites) {
  const auto tokens = Read(R"({"content":"\"prompt_tokens\":99 \"predicted_n\":98"})", 1000);
  EXPECT_EQ(tokens.in(), std::nullopt);
  EXPECT_EQ(tokens.out(), std::nullopt);
}

}  // namespace
}  // namespace headrace::serve
