#include "batch/request.h"

#include <gtest/gtest.h>

namespace headrace::batch {
namespace {

std::string ProblemOf(const std::string& line) { return ParseRequest(line).problem; }

std::string Line(const std::string& body, const std::string& url = "/v1/completions") {
  return R"({"custom_id": "a", "method": "POST", "url": ")" + url + R"(", "body": )" + body + "}";
}

Demand DemandOfBody(const std::string& body, const std::string& url = "/v1/completions") {
  const Request request = ParseRequest(Line(body, url));
  EXPECT_EQ(request.problem, "");
  return DemandOf(request);
}

TEST(Request, IsRead) {
  const Request request = ParseRequest(Line(R"({"prompt": "It is", "model": "any"})"));
  EXPECT_EQ(request.problem, "");
  EXPECT_EQ(request.custom_id, "a");
  EXPECT_EQ(request.endpoint, Endpoint::kCompletion);
  EXPECT_EQ(request.body["prompt"], "It is");
  EXPECT_EQ(ParseRequest(Line("{}", "/v1/chat/completions")).endpoint, Endpoint::kChat);
  EXPECT_EQ(ParseRequest(Line("{}", "/v1/embeddings")).endpoint, Endpoint::kEmbedding);
  EXPECT_EQ(ProblemOf(R"({"custom_id": "a", "url": "/v1/completions", "body": {"stream": false}})"), "")
      << "method may be left out";
}

TEST(Request, SaysWhatIsWrong) {
  EXPECT_NE(ProblemOf("{bad").find("not JSON"), std::string::npos);
  EXPECT_NE(ProblemOf("").find("not JSON"), std::string::npos);
  EXPECT_NE(ProblemOf("[1]").find("not a JSON object"), std::string::npos);
  EXPECT_NE(ProblemOf("{}").find("no custom_id"), std::string::npos);
  EXPECT_NE(ProblemOf(R"({"custom_id": 7})").find("not a string"), std::string::npos);
  EXPECT_NE(ProblemOf(R"({"custom_id": ""})").find("not a string"), std::string::npos);
  EXPECT_NE(ProblemOf(R"({"custom_id": "a", "method": "GET"})").find("POST"), std::string::npos);
  EXPECT_NE(ProblemOf(R"({"custom_id": "a"})").find("no url"), std::string::npos);
  EXPECT_NE(ProblemOf(Line("{}", "/v1/images")).find("/v1/embeddings"), std::string::npos);
  EXPECT_NE(ProblemOf(Line("[]")).find("body"), std::string::npos);
  EXPECT_NE(ProblemOf(Line(R"({"stream": true})")).find("stream"), std::string::npos);
  EXPECT_NE(ProblemOf(Line("{}") + " {}").find("not JSON"), std::string::npos) << "two in a line";
  EXPECT_NE(ProblemOf(Line(R"({"max_tokens": 1, "max_tokens": 2})")).find("twice"), std::string::npos);
}

TEST(Request, HostileText) {
  EXPECT_NE(ProblemOf(Line("{}") + std::string("\0 rest", 6)).find("NUL"), std::string::npos);
  EXPECT_NE(ProblemOf(Line("{\"prompt\": \"\xff\xfe\"}")), "") << "no UTF-8";
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_NE(ProblemOf(Line(R"({"prompt": )" + deep + "}")), "") << "too deep";
  EXPECT_NE(ProblemOf(std::string(1'000'000, '{')), "");
  EXPECT_EQ(ParseRequest(R"({"custom_id": "kept", "url": "/nowhere"})").custom_id, "kept") << "for its error";
}

TEST(Request, NeedsWhatItNames) {
  const Demand text = DemandOfBody(R"({"prompt": "0123456789", "max_tokens": 20})");
  EXPECT_EQ(text.prompt_bytes, 10u);
  EXPECT_EQ(text.prompts, 1u);
  EXPECT_EQ(text.answer_tokens, 20u);
  const Demand tokens = DemandOfBody(R"({"prompt": [1, 2, 3], "n": 2})");
  EXPECT_EQ(tokens.prompt_tokens, 3u);
  EXPECT_EQ(tokens.prompts, 1u);
  EXPECT_EQ(tokens.answers, 2u);
  EXPECT_FALSE(tokens.answer_tokens);
  const Demand several = DemandOfBody(R"({"prompt": ["ab", [1, 2], "cd"], "n_predict": 5})");
  EXPECT_EQ(several.prompts, 3u);
  EXPECT_EQ(several.prompt_bytes, 4u);
  EXPECT_EQ(several.prompt_tokens, 2u);
  EXPECT_EQ(several.answer_tokens, 5u);
  EXPECT_FALSE(DemandOfBody(R"({"prompt": "a", "max_tokens": -1})").answer_tokens) << "no limit";
  EXPECT_EQ(DemandOfBody(R"({"prompt": "a", "max_tokens": 1e300})").answer_tokens, 1u << 30);
  const Demand chat = DemandOfBody(
      R"({"messages": [{"role": "user", "content": "hello"}], "max_completion_tokens": 9})", "/v1/chat/completions");
  EXPECT_EQ(chat.prompt_bytes, 9u);
  EXPECT_EQ(chat.answer_tokens, 9u);
  EXPECT_EQ(DemandOfBody(R"({"input": ["a", "b"], "max_tokens": 9})", "/v1/embeddings").answer_tokens, 0u);
}

TEST(Request, TheEngineIsToldALimit) {
  const auto body = [](const std::string& text, const std::string& url = "/v1/completions") {
    return Json::parse(BodyFor(ParseRequest(Line(text, url)), 77));
  };
  EXPECT_EQ(body(R"({"prompt": "a"})")["max_tokens"], 77);
  EXPECT_EQ(body(R"({"prompt": "a", "n_predict": -1})")["max_tokens"], 77);
  EXPECT_FALSE(body(R"({"prompt": "a", "n_predict": -1})").contains("n_predict"));
  EXPECT_EQ(body(R"({"prompt": "a", "max_tokens": 5})")["max_tokens"], 5);
  EXPECT_EQ(body(R"({"prompt": "a", "max_tokens": "x"})")["max_tokens"], "x") << "the engine says what is wrong";
  EXPECT_FALSE(body(R"({"prompt": "a", "n_predict": 5})").contains("max_tokens"));
  EXPECT_FALSE(body(R"({"input": "a"})", "/v1/embeddings").contains("max_tokens"));
}

}  // namespace
}  // namespace headrace::batch
