#include "run/prompt_text.h"

#include <gtest/gtest.h>

#include "base/temporary_tree.h"

namespace headrace::run {
namespace {

TEST(PromptText, EscapesAreThoseOfTheEngine) {
  EXPECT_EQ(ProcessEscapes(R"(a\nb\tc\\n\'\"\r)"), "a\nb\tc\\n'\"\r");
  EXPECT_EQ(ProcessEscapes(R"(\x41\x7a!)"), "Az!");
  EXPECT_EQ(ProcessEscapes(R"(\q \x4 \xg1 \)"), R"(\q \x4 \xg1 \)") << "what is no escape stays";
}

TEST(PromptText, FromOptionsAndFiles) {
  TemporaryTree tree;
  EXPECT_EQ(*PromptText("a\\n", std::nullopt, true), "a\n");
  EXPECT_EQ(*PromptText("a\\n", std::nullopt, false), "a\\n");
  EXPECT_EQ(*PromptText(std::nullopt, tree.File("p", "a\\tb\n\n"), true), "a\tb\n") << "one line break less";
  EXPECT_EQ(PromptText(std::nullopt, tree.Path("absent"), true).status().code(), Code::kNotFound);
  EXPECT_EQ(PromptText("\\xff", std::nullopt, true).status().code(), Code::kUnsupported);
}

}  // namespace
}  // namespace headrace::run
