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
  EXPECT_EQ(Parse("/v1/messages", {{"messages", Json::array()}}).prompts, Prompts::kInput);
  EXPECT_EQ(Parse("/v1/messages", {{"messages", {{{"content", {{{"type", "image"}}}}}}}}).prompts, Prompts::kUnknown);
  EXPECT_EQ(Parse("/v1/responses", {{"input", "a"}}).count_path, std::string("/v1/responses/input_tokens"));
}

TEST(TokenNeed, ALimitIsAddedWhereThereIsNone) {
  EXPECT_EQ(WithAnswerLimit("/v1/chat/completions", R"({"b": 1, "a": 0.10} )", 7),
            R"({"b": 1, "a": 0.10,"max_tokens":7} )");
  EXPECT_EQ(WithAnswerLimit("/completion", "{}", 7), R"({"n_predict":7})");
  EXPECT_EQ(WithAnswerLimit("/v1/responses", R"({"input":"}"})", 7), R"({"input":"}","max_output_tokens":7})");
  for (const char* named : {R"({"max_tokens": 5})", R"({"n_predict": -1})", R"({"max_completion_tokens": 5})"}) {
    EXPECT_EQ(WithAnswerLimit("/v1/chat/completions", named, 7), named);
  }
  EXPECT_EQ(JsonOrNull(WithAnswerLimit("/completion", R"({"prompt": "a", "max_tokens": null})", 7))["n_predict"], 7);
  EXPECT_EQ(WithAnswerLimit("/v1/embeddings", "{}", 7), "{}");
}

}  // namespace
}  // namespace headrace::serve
