#include "telemetry/last_failure.h"

#include <gtest/gtest.h>

#include "telemetry/snapshot.h"

namespace headrace {
namespace {

// A snapshot keeps the first, which is as a rule the cause; a program that asks is told the last.
TEST(LastFailure, IsTheLastOfAllKinds) {
  SnapshotWriter writer;
  SetLastError(*writer, "a pass failed");
  SetLastFailure("a number is out of range");
  EXPECT_EQ(LastFailure(), "a number is out of range");
  SetLastError(*writer, "another pass failed");
  EXPECT_EQ(LastFailure(), "another pass failed");
  EXPECT_STREQ(writer->last_error, "a pass failed");
  EXPECT_EQ(writer->errors.load(), 2u);
}

}  // namespace
}  // namespace headrace
