#include "report/time_text.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

TEST(TimeText, SecondsMinutesHours) {
  EXPECT_EQ(TimeText(-1), "0 s");
  EXPECT_EQ(TimeText(0.4), "0 s");
  EXPECT_EQ(TimeText(59.4), "59 s");
  EXPECT_EQ(TimeText(59.6), "1 min 0 s");
  EXPECT_EQ(TimeText(200), "3 min 20 s");
  EXPECT_EQ(TimeText(7500), "2 h 5 min");
  EXPECT_EQ(TimeText(1e30), "99 h 0 min");
}

}  // namespace
}  // namespace headrace::cli
