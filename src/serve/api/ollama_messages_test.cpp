#include "serve/api/ollama_messages.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

TEST(ChatMessages, CallsOfToolsAndTheirAnswersBelongTogether) {
  const auto messages = ChatMessages(JsonOrNull(
      R"([{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": {"x": 1}}}, {"id": "mine", "function": {"name": "b"}}]},
    {"role": "tool", "content": "1", "tool_name": "a"}, {"role": "tool", "content": "2"}])"));
  ASSERT_TRUE(messages.ok()) << messages.status().message();
  const Json& calls = (*messages)[0]["tool_calls"];
  EXPECT_EQ(JsonOrNull(calls[0]["function"]["arguments"].get<std::string>()), Json({{"x", 1}}));
  EXPECT_EQ(calls[1]["function"]["arguments"], "{}");
  EXPECT_EQ((*messages)[1]["tool_call_id"], calls[0]["id"]);
  EXPECT_EQ((*messages)[2]["tool_call_id"], "mine");
}

TEST(ChatMessages, ImagesBecomeAddresses) {
  const auto messages = ChatMessages(JsonOrNull(
      R"([{"role": "user", "content": "what?", "images": ["iVBORw0K", "/9j/4AAQ", "data:image/x;base64,AA"]}])"));
  ASSERT_TRUE(messages.ok()) << messages.status().message();
  const Json& parts = (*messages)[0]["content"];
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(parts[0]["text"], "what?");
  EXPECT_EQ(parts[1]["image_url"]["url"], "data:image/png;base64,iVBORw0K");
  EXPECT_EQ(parts[2]["image_url"]["url"], "data:image/jpeg;base64,/9j/4AAQ");
  EXPECT_EQ(parts[3]["image_url"]["url"], "data:image/x;base64,AA");
}

TEST(ChatMessages, WhatIsWrong) {
  EXPECT_TRUE(ChatMessages(Json()).ok()) << "none: the model is only loaded";
  for (const char* text :
       {"7", R"("x")", "[7]", "[{}]", R"([{"role": 7}])", R"([{"role": "user", "content": 7}])",
        R"([{"role": "user", "content": "x", "images": [7]}])", R"([{"role": "assistant", "tool_calls": 7}])",
        R"([{"role": "assistant", "tool_calls": [{}]}])"}) {
    EXPECT_FALSE(ChatMessages(JsonOrNull(text)).ok()) << text;
  }
}

}  // namespace
}  // namespace headrace::serve
