#include "llama_server/engine_name.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

TEST(EngineName, WhatLlamaServerWouldChangeGetsAnother) {
  EXPECT_EQ(EngineName("a/b c-q4_0"), "a/b c-q4_0");
  for (const char* id : {"Llama, tuned", " a", "a ", ","}) {
    const std::string name = EngineName(id);
    EXPECT_NE(name, id);
    EXPECT_EQ(EngineName(name), name);
  }
  EXPECT_NE(EngineName("a,b"), EngineName("a,c"));
}

TEST(EngineName, IsRestoredHoweverTheAnswerIsCut) {
  const std::string id = "Llama, \"tuned\"", name = EngineName(id);
  const std::string answer = "data: {\"model\":\"" + name + "\",\"x\":\"" + name + " here\"}\n\ndata: {\"model\":\"" +
                             name + "\"}\n\ndata: \"head";
  const std::string wanted = "data: {\"model\":\"Llama, \\\"tuned\\\"\",\"x\":\"" + name +
                             " here\"}\n\ndata: {\"model\":\"Llama, \\\"tuned\\\"\"}\n\ndata: \"head";
  for (size_t size = 1; size <= answer.size(); ++size) {
    NameRestorer restorer(name, id);
    std::string text;
    for (size_t at = 0; at < answer.size(); at += size)
      text += restorer.Feed(std::string_view(answer).substr(at, size));
    text += restorer.Finish();
    EXPECT_EQ(text, wanted) << size;
  }
}

TEST(EngineName, AnOrdinaryAnswerIsHandedOnAtOnce) {
  NameRestorer restorer("a", "a");
  EXPECT_TRUE(restorer.idle());
  EXPECT_EQ(restorer.Feed("{\"model\":\"a"), "{\"model\":\"a");
}

}  // namespace
}  // namespace headrace::serve
