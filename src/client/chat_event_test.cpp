#include "client/chat_event.h"

#include <gtest/gtest.h>

namespace headrace::client {
namespace {

TEST(ChatEvent, ContentThoughtsAndTheEnd) {
  ChatEvent event = ParseChatEvent(
      R"({"model": "m", "choices": [{"delta": {"content": "Hi", "reasoning_content": "hm"}, "finish_reason": null}]})");
  EXPECT_EQ(event.content, "Hi");
  EXPECT_EQ(event.reasoning, "hm");
  EXPECT_EQ(event.model, "m");
  EXPECT_EQ(event.finish_reason, "");
  event = ParseChatEvent(
      R"({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"completion_tokens": 3}, "timings": {"predicted_ms": 9}})");
  EXPECT_EQ(event.finish_reason, "stop");
  EXPECT_EQ(event.usage["completion_tokens"], 3);
  EXPECT_EQ(event.timings["predicted_ms"], 9);
}

TEST(ChatEvent, WhatItWaitsForAndWhyItEnds) {
  EXPECT_EQ(ParseChatEvent(R"({"choices": [], "waiting": {"for": "turn", "place": 2, "expected_s": 4}})").news,
            "waiting for its turn, 1 before it, about 4 s");
  EXPECT_EQ(ParseChatEvent(R"({"choices": [], "prompt_progress": {"total": 20, "processed": 5}})").news,
            "reading the prompt: 5 of 20 tokens");
  EXPECT_EQ(ParseChatEvent(R"({"error": {"message": "gone"}})").error, "gone");
  EXPECT_NE(ParseChatEvent(R"({"error": {}})").error, "");
}

TEST(ChatEvent, WhatIsNotUnderstoodIsLeftOut) {
  for (const char* data : {"[DONE]", "", "7", "{}", R"({"choices": 3})", R"({"choices": [[]]})",
                           R"({"choices": [{"delta": {"content": 5}}]})", "{\"choices\""}) {
    const ChatEvent event = ParseChatEvent(data);
    EXPECT_EQ(event.content + event.news + event.error, "") << data;
  }
}

TEST(ForTerminal, LeavesNoControlCharacters) {
  EXPECT_EQ(ForTerminal("a\x1b[2J\r\b\tb\n\x7f\xc2\x9b\xc3\xa9"), "a[2J\tb\n\xc3\xa9");
}

}  // namespace
}  // namespace headrace::client
