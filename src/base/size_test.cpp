#include "base/size.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

TEST(ParseSize, AcceptsWhatPeopleWrite) {
  const std::pair<const char*, uint64_t> cases[] = {
      {"4096", 4096},          {"8G", 8 * kGiB}, {"8g", 8 * kGiB}, {"512MiB", 512 * kMiB}, {"1.5GB", 3 * kGiB / 2},
      {" 700 m ", 700 * kMiB}, {"0", 0},         {"12B", 12},      {"2TiB", 2048 * kGiB},  {"0.5K", 512},
  };
  for (const auto& [text, bytes] : cases) {
    const auto parsed = ParseSize(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.status().message();
    EXPECT_EQ(*parsed, bytes) << text;
  }
}

TEST(ParseSize, RefusesTheRestNamingIt) {
  for (const char* text :
       {"", "  ", "abc", "-1G", "8X", "8GG", "8 GiBB", "1e3", "nan", "inf", "G", "99999999T", "5BB", "0x10"}) {
    const auto parsed = ParseSize(text);
    EXPECT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument);
    EXPECT_NE(parsed.status().message().find(std::string("'") + text + "'"), std::string::npos);
  }
}

TEST(FormatSize, ThreeDigits) {
  EXPECT_EQ(FormatSize(0), "0 B");
  EXPECT_EQ(FormatSize(999), "999 B");
  EXPECT_EQ(FormatSize(1024), "1.00 KiB");
  EXPECT_EQ(FormatSize(700 * kMiB), "700 MiB");
  EXPECT_EQ(FormatSize(kGiB + kGiB / 2), "1.50 GiB");
  EXPECT_EQ(FormatSize(1000 * kMiB), "0.98 GiB");
}

TEST(Align, UpAndDown) {
  EXPECT_EQ(AlignUp(1, kReadAlignment), kReadAlignment);
  EXPECT_EQ(AlignUp(kReadAlignment, kReadAlignment), kReadAlignment);
  EXPECT_EQ(AlignDown(kReadAlignment + 1, kReadAlignment), kReadAlignment);
}

}  // namespace
}  // namespace headrace
