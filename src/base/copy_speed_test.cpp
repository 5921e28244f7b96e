#include "base/copy_speed.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

TEST(CopySpeed, ALineIsReadAsItWasWritten) {
  const auto speeds =
      ParseCopySpeeds("Available devices:\n" + CopySpeedLine({"CUDA0", 6.5e9, 2.5e10}) +
                      "  CUDA0: a card (8 MiB, 8 MiB free)\n  " + CopySpeedLine({"RPC0[10.0.0.1:50052] x", 1e8, 0}));
  ASSERT_EQ(speeds.size(), 2u);
  EXPECT_EQ(speeds[0].device, "CUDA0");
  EXPECT_EQ(speeds[0].bytes_per_s, 6.5e9);
  EXPECT_EQ(speeds[0].upload_bytes_per_s(), 2.5e10);
  EXPECT_EQ(speeds[1].device, "RPC0[10.0.0.1:50052] x");
  EXPECT_EQ(speeds[1].upload_bytes_per_s(), 1e8);
}

TEST(CopySpeed, WhatIsNoLineIsNone) {
  for (const char* text :
       {"", "\n\n", "headrace: copies at", "headrace: copies at 1", "headrace: copies at 1 2",
        "headrace: copies at 1 2 ", "headrace: copies at 0 2 A", "headrace: copies at -1 2 A",
        "headrace: copies at 1e9 2 A", "headrace: copies at 99999999999999999999 2 A", "copies at 1 2 A"}) {
    EXPECT_TRUE(ParseCopySpeeds(text).empty()) << text;
  }
}

}  // namespace
}  // namespace headrace
