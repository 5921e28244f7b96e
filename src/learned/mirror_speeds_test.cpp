#include "learned/mirror_speeds.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

TEST(SpeedTogether, IsTheSumAsFarAsTheSharesAllowIt) {
  const DriveSpeed first = {"a", 3, 1, 0, "", ""};
  const std::vector<DriveSpeed> one = {first}, two = {first, {"b", 1, 1, 0, "", ""}},
                                enough = {first, {"b", 1, 0.25, 0, "", ""}},
                                little = {first, {"b", 3, 0.25, 0, "", ""}};
  EXPECT_EQ(SpeedTogether({}), 0);
  EXPECT_EQ(SpeedTogether(one), 3);
  EXPECT_EQ(SpeedTogether(two), 4);
  EXPECT_EQ(SpeedTogether(enough), 4);
  EXPECT_EQ(SpeedTogether(little), 4) << "the first drive must read three quarters";
}

TEST(SpeedTogether, CountsADiskOnce) {
  const std::vector<DriveSpeed> drives = {
      {"/a", 3, 1, 0, "", ""}, {"/b", 3, 1, 0, "/a", "sda"}, {"/c", 1, 1, 0, "", ""}};
  EXPECT_EQ(SpeedTogether(drives), 4);
  EXPECT_EQ(SharedDiskLines(drives),
            std::vector<std::string>{"/a and /b both lie on one disk (sda); a copy there brings no speed"});
}

}  // namespace
}  // namespace headrace::cli
