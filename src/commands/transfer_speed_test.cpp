#include "commands/transfer_speed.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

TEST(TransferSpeed, OverTheLastSeconds) {
  TransferSpeed speed;
  EXPECT_EQ(speed.bytes_per_s(), 0);
  speed.Add(0, 5000);
  EXPECT_EQ(speed.bytes_per_s(), 0) << "what was there before has no speed";
  for (int s = 1; s <= 20; ++s) speed.Add(s, 5000 + 100 * static_cast<uint64_t>(s));
  EXPECT_DOUBLE_EQ(speed.bytes_per_s(), 100);
  for (int s = 21; s <= 40; ++s) speed.Add(s, 7000);
  EXPECT_EQ(speed.bytes_per_s(), 0) << "nothing comes any more";
  speed.Add(41, 0);
  EXPECT_EQ(speed.bytes_per_s(), 0) << "it begins anew";
}

}  // namespace
}  // namespace headrace::cli
