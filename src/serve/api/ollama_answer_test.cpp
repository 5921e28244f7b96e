#include "serve/api/ollama_answer.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

OllamaAnswer ChatAnswer(bool stream) {
  return OllamaAnswer(OllamaRequest::Kind::kChat, "m", stream, false, Clock::now(), Clock::duration(0));
}

std::vector<Json> LinesOf(const std::string& text) {
  std::vector<Json> lines;
  for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    lines.push_back(JsonOrNull(text.substr(at, end - at)));
  return lines;
}

TEST(OllamaAnswer, CallsOfToolsComeWholeBeforeTheEnd) {
  OllamaAnswer answer = ChatAnswer(true);
  AnswerHead head;
  head.content_length = 7;
  answer.Begin(head);
  EXPECT_FALSE(head.content_length);
  std::string text = answer.Feed(
      "data: {\"choices\": [{\"delta\": {\"reasoning_content\": \"hm\"}}]}\n\ndata: {\"choices\": [{\"delta\": "
      "{\"tool_calls\": [{\"index\": 0, \"id\": \"a\", "
      "\"function\": {\"name\": \"look\", \"arguments\": \"{\\\"at\\\":\"}}]}}]}\n\nda");
  text += answer.Feed(
      "ta: {\"choices\": [{\"delta\": {\"tool_calls\": [{\"index\": 0, \"function\": {\"arguments\": \" 1}\"}}, "
      "{\"index\": 1, \"id\": \"b\", \"function\": {\"name\": \"go\"}}]}}]}\n\n"
      "data: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"tool_calls\"}], \"timings\": {\"prompt_n\": 2, "
      "\"cache_n\": 3, \"predicted_n\": 4, \"prompt_ms\": 1.5, "
      "\"predicted_ms\": 2}}\n\ndata: [DONE]\n\n");
  text += answer.Finish();
  const auto lines = LinesOf(text);
  ASSERT_EQ(lines.size(), 3u) << text;
  EXPECT_EQ(lines[0]["message"]["thinking"], "hm");
  const Json& calls = lines[1]["message"]["tool_calls"];
  ASSERT_EQ(calls.size(), 2u) << text;
  EXPECT_EQ(calls[0]["function"]["name"], "look");
  EXPECT_EQ(calls[0]["function"]["arguments"], Json({{"at", 1}}));
  EXPECT_EQ(calls[1]["function"]["arguments"], Json::object());
  EXPECT_EQ(lines[2]["done"], true);
  EXPECT_EQ(lines[2]["done_reason"], "stop");
  EXPECT_EQ(lines[2]["prompt_eval_count"], 5);
  EXPECT_EQ(lines[2]["prompt_eval_duration"], 1'500'000);
  EXPECT_EQ(lines[2]["eval_count"], 4);
}

TEST(OllamaAnswer, AWholeOneHasThemToo) {
  OllamaAnswer answer = ChatAnswer(false);
  AnswerHead head;
  answer.Begin(head);
  EXPECT_EQ(
      answer.Feed(
          R"({"choices": [{"message": {"content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "x", "arguments": "{}"}},)"),
      "");
  EXPECT_EQ(
      answer.Feed(
          R"({"id": "b", "function": {"name": "y", "arguments": "no JSON"}}]}, "finish_reason": "tool_calls"}]})"),
      "");
  const Json whole = JsonOrNull(answer.Finish());
  EXPECT_EQ(whole["message"]["tool_calls"].size(), 2u) << whole;
  EXPECT_EQ(whole["message"]["tool_calls"][1]["function"]["arguments"], "no JSON") << whole;
}

TEST(OllamaAnswer, WhatGoesWrongIsTold) {
  OllamaAnswer refused = ChatAnswer(true);
  AnswerHead head;
  head.status = 400;
  refused.Begin(head);
  EXPECT_EQ(refused.Feed(R"({"error": {"message": "no"}})"), "");
  EXPECT_EQ(JsonOrNull(refused.Finish()), Json({{"error", "no"}}));

  OllamaAnswer late = ChatAnswer(true);
  head.status = 200;
  late.Begin(head);
  EXPECT_EQ(JsonOrNull(late.Feed("data: {\"error\": {\"message\": \"too long\"}}\n\n")), Json({{"error", "too long"}}));
  EXPECT_EQ(late.Finish(), "") << "no end after an error";

  OllamaAnswer broken = ChatAnswer(true);
  broken.Begin(head);
  EXPECT_EQ(JsonOrNull(broken.Broken("it died").value_or("")), Json({{"error", "it died"}}));
  EXPECT_FALSE(ChatAnswer(false).Broken("it died")) << "half an object cannot say it";
}

TEST(OllamaAnswer, TimesAreReadByEveryClient) {
  EXPECT_EQ(UtcText(std::chrono::system_clock::from_time_t(0) + std::chrono::milliseconds(1500)),
            "1970-01-01T00:00:01.500000000Z");
}

}  // namespace
}  // namespace headrace::serve
