#include "base/shown.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

TEST(Shown, IsShortAndOfOneLine) {
  EXPECT_EQ(Shown(""), "");
  EXPECT_EQ(Shown(" \n"), "");
  EXPECT_EQ(Shown(" num_ctx \t"), "num_ctx");
  EXPECT_EQ(Shown("a\nb\x1b[1m\x7f\xc3\xa9"), "a b [1m???");
  EXPECT_EQ(Shown(std::string(41, 'x')), std::string(40, 'x') + "...");
}

}  // namespace
}  // namespace headrace
