#include "serve/models/name_aliases.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

TEST(NameAliases, StandForModels) {
  const auto aliases = ParseAliases({"gpt-4o=qwen3:30b", "a b=c=d"});
  ASSERT_TRUE(aliases.ok()) << aliases.status().message();
  EXPECT_EQ(WithoutAlias(*aliases, "gpt-4o"), "qwen3:30b");
  EXPECT_EQ(WithoutAlias(*aliases, "GPT-4o:latest"), "qwen3:30b");
  EXPECT_EQ(WithoutAlias(*aliases, "a b"), "c=d");
  EXPECT_EQ(WithoutAlias(*aliases, "gpt-4"), "gpt-4");
  EXPECT_EQ(WithoutAlias(*aliases, "gpt-4o:30b"), "gpt-4o:30b");
}

TEST(NameAliases, WhatIsWrongWithThem) {
  for (const char* text : {"", "=", "a", "a=", "=a", "a\n=b"}) EXPECT_FALSE(ParseAliases({text}).ok()) << text;
  EXPECT_FALSE(ParseAliases({"a=b", "A=c"}).ok());
}

}  // namespace
}  // namespace headrace::serve
