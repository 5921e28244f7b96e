#include "base/utf8.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

TEST(Utf8, LengthsOfCharacters) {
  EXPECT_EQ(Utf8Length("a"), 1u);
  EXPECT_EQ(Utf8Length("ü!"), 2u);
  EXPECT_EQ(Utf8Length("€"), 3u);
  EXPECT_EQ(Utf8Length("𝄞"), 4u);
  EXPECT_EQ(Utf8Length("\xf4\x8f\xbf\xbf"), 4u) << "the last character";
}

TEST(Utf8, WhatIsNoCharacter) {
  for (const char* text : {"", "\x80", "\xbf", "\xc3", "\xc3(", "\xe2\x82", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf",
                           "\xed\xa0\x80", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_EQ(Utf8Length(text), 0u) << text;
  }
}

}  // namespace
}  // namespace headrace
