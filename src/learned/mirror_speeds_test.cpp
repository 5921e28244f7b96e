#include "learned/mirror_speeds.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

TEST(SpeedTogether, IsTheSumAsFarAsTheSharesAllowIt) {
  const std::vector<DriveSpeed> one = {{"a", 3, 1}}, two = {{"a", 3, 1}, {"b", 1, 1}},
                                enough = {{"a", 3, 1}, {"b", 1, 0.25}}, little = {{"a", 3, 1}, {"b", 3, 0.25}};
  EXPECT_EQ(SpeedTogether({}), 0);
  EXPECT_EQ(SpeedTogether(one), 3);
  EXPECT_EQ(SpeedTogether(two), 4);
  EXPECT_EQ(SpeedTogether(enough), 4);
  EXPECT_EQ(SpeedTogether(little), 4) << "the first drive must read three quarters";
}

}  // namespace
}  // namespace headrace::cli
