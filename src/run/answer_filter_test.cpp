#include "run/answer_filter.h"

#include <gtest/gtest.h>

namespace headrace::run {
namespace {

// The result must not depend on how the stream is cut.
std::string Filter(const std::string& text, size_t piece) {
  AnswerFilter filter;
  std::string result;
  for (size_t i = 0; i < text.size(); i += piece) result += filter.Feed(std::string_view(text).substr(i, piece));
  return result + filter.Finish();
}

TEST(AnswerFilter, TakesTheEnginesEndOff) {
  const std::pair<const char*, const char*> cases[] = {
      {"It is a truth.\n\n", "It is a truth.\n"},
      {"It is a truth [end of text]\n\n\n", "It is a truth\n"},
      {"It is a truth", "It is a truth\n"},
      {"a [end of text] b\n", "a [end of text] b\n"},
      {"a\n\nb\n", "a\n\nb\n"},
      {"a [end of", "a [end of\n"},
      {"a  [end of text]\n", "a \n"},
      {"x [end  [end of text]\n", "x [end \n"},
      {"", ""},
      {"\n\n", ""},
  };
  for (const auto& [text, expected] : cases) {
    for (const size_t piece : {1, 2, 3, 7, 100})
      EXPECT_EQ(Filter(text, piece), expected) << text << " in pieces of " << piece;
  }
}

TEST(AnswerFilter, HoldsBackNoMoreThanItMust) {
  AnswerFilter filter;
  EXPECT_EQ(filter.Feed("Hello"), "Hello");
  EXPECT_EQ(filter.Feed(" "), "");
  EXPECT_EQ(filter.Feed("world"), " world");
}

}  // namespace
}  // namespace headrace::run
