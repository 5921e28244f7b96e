#include "memory/pressure.h"

#include <gtest/gtest.h>

#include "base/text_file.h"

namespace headrace {
namespace {

using namespace std::chrono_literals;

TEST(Pressure, ReadsTheStallOfAll) {
  EXPECT_EQ(
      ParseFullStall(
          "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\nfull avg10=1.50 avg60=0.00 avg300=0.00 total=123456\n"),
      123456u);
  for (const char* text : {"", "some avg10=0.00 total=7\n", "full avg10=0.00\n", "full total=x\n", "full total="}) {
    EXPECT_EQ(ParseFullStall(text), std::nullopt) << text;
  }
  const auto text = ReadTextFile("/proc/pressure/memory");
  if (!text) GTEST_SKIP() << "this kernel has no pressure stall information";
  EXPECT_TRUE(ParseFullStall(*text)) << *text;
}

TEST(Pressure, HoldsBackWhileProgramsWaitAndGivesBackLater) {
  PressureBrake brake;
  PressureBrake::Clock::time_point now{100s};
  uint64_t stall = 5'000'000;
  const auto second = [&](uint64_t stalled_us) {
    now += 1s;
    stall += stalled_us;
    return brake.Update(stall, now);
  };
  EXPECT_EQ(brake.Update(stall, now), 0) << "what was before does not count";
  EXPECT_EQ(second(90'000), 0);
  EXPECT_EQ(second(200'000), 0.125);
  EXPECT_EQ(brake.Update(stall + 900'000, now + 500ms), 0.125) << "half a second is too short to tell";
  EXPECT_EQ(second(0), 0.125);
  for (int i = 0; i < 10; ++i) second(300'000);
  EXPECT_EQ(second(300'000), 0.5) << "half at most";
  for (int i = 0; i < 9; ++i) EXPECT_EQ(second(0), 0.5);
  EXPECT_EQ(second(0), 0.375);
  for (int i = 0; i < 3; ++i) second(0);
  EXPECT_EQ(second(0), 0);
  EXPECT_EQ(brake.Update(std::nullopt, now), 0) << "a kernel without pressure stall information";
}

}  // namespace
}  // namespace headrace
