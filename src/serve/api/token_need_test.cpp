#include "serve/api/token_need.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

using Prompts = GenerationRequest::Prompts;

GenerationRequest Parse(std::string_view path, const Json& body) {
  return ParseGeneration(path, body.dump()).value_or(GenerationRequest{.sequences = 0});
}

TEST(TokenNeed, OnlyWhatGeneratesNeedsTokens) {
  EXPECT_FALSE(ParseGeneration("/tokenize", "{}"));
  EXPECT_FALSE(ParseGeneration("/v1/messages/count_tokens", "{}"));
  EXPECT_TRUE(ParseGeneration("/v1/messages", "{}"));
  EXPECT_EQ(ParseGeneration("/completion", "no JSON")->prompts, Prompts::kUnknown);
}

TEST(TokenNeed, TheLargestLimitCounts) {
  EXPECT_EQ(Parse("/v1/chat/completions", {{"max_tokens", 5}, {"max_completion_tokens", 9}}).answer_tokens, 9u);
  EXPECT_EQ(Parse("/completion", {{"n_predict", -1}, {"max_tokens", 5}}).answer_tokens, std::nullopt);
  EXPECT_EQ(Parse("/completion", {{"max_tokens", nullptr}}).answer_tokens, std::nullopt);
}

TEST(TokenNeed, PromptsOfEveryKind) {
  GenerationRequest request = Parse("/v1/completions", {{"prompt", "It is"}});
  EXPECT_EQ(request.prompts, Prompts::kTexts);
  EXPECT_EQ(request.texts, std::vector<std::string>{"It is"});
  EXPECT_EQ(request.sequences, 1u);
  request = Parse("/completion", {{"prompt", {1, 2, 3}}, {"n", 2}});
  EXPECT_EQ(request.prompt_tokens, 3u);
  EXPECT_EQ(request.sequences, 2u);
  request = Parse("/completion", {{"prompt", {"a", {1, 2}}}});
  EXPECT_EQ(request.texts.size(), 1u);
  EXPECT_EQ(request.prompt_tokens, 2u);
  EXPECT_EQ(request.sequences, 2u);
  EXPECT_EQ(Parse("/completion", {{"prompt", {{"prompt_string", "a"}}}}).prompts, Prompts::kUnknown);
  EXPECT_EQ(Parse("/v1/chat/completions", {{"messages", Json::array()}}).prompts, Prompts::kChat);
  EXPECT_EQ(Parse("/v1/chat/completions", {{"messages", {{{"content", {{{"type", "image_url"}}}}}}}}).prompts,
            Prompts::kUnknown);
  EXPECT_EQ(Parse("/infill", {{"prompt", "a"}}).prompts, Prompts::kUnknown);
}

}  // namespace
}  // namespace headrace::serve
