#include "base/split_name.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

TEST(SplitName, ParsesAndFormats) {
  const auto name = ParseSplitName("/models/big-00002-of-00014.gguf");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->prefix, "/models/big");
  EXPECT_EQ(name->part, 2u);
  EXPECT_EQ(name->parts, 14u);
  EXPECT_EQ(name->PathOf(11), "/models/big-00011-of-00014.gguf");
  for (const char* path : {"", ".gguf", "big.gguf", "00001-of-00002.gguf", "big-0001-of-0002.gguf",
                           "big-00003-of-00002.gguf", "big-00000-of-00002.gguf", "big-00001-of-00002.bin",
                           "big-00001-of-0000x.gguf", "big-00001-of-00002.gguf.part", "big_00001-of-00002.gguf"}) {
    EXPECT_FALSE(ParseSplitName(path).has_value()) << path;
  }
}

TEST(SplitName, NumbersAsTheyStand) {
  const auto none = ParseSplitNumbers("big-00000-of-00002.gguf"), beyond = ParseSplitNumbers("big-00003-of-00002.gguf");
  ASSERT_TRUE(none && beyond);
  EXPECT_EQ(none->part, 0u);
  EXPECT_EQ(beyond->part, 3u);
  EXPECT_FALSE(ParseSplitNumbers("big-0001-of-0002.gguf"));
}

}  // namespace
}  // namespace headrace
