#include "io/drive_buffer.h"

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace {
namespace {

TEST(DriveBuffer, GivesTheLowestFreePlaceAndNoneTwice) {
  auto made = DriveBuffer::Make(8 * kReadAlignment);
  ASSERT_TRUE(made.ok());
  DriveBuffer buffer = std::move(*made);
  std::byte* const first = buffer.Take(2 * kReadAlignment);
  std::byte* const second = buffer.Take(2 * kReadAlignment);
  std::byte* const third = buffer.Take(4 * kReadAlignment);
  EXPECT_EQ(second, first + 2 * kReadAlignment);
  EXPECT_EQ(third, second + 2 * kReadAlignment);
  EXPECT_EQ(buffer.Take(kReadAlignment), nullptr);
  buffer.Give(second);
  EXPECT_EQ(buffer.Take(3 * kReadAlignment), nullptr) << "the free place is too short";
  EXPECT_EQ(buffer.Take(kReadAlignment), second);
  EXPECT_EQ(buffer.Take(kReadAlignment), second + kReadAlignment);
  EXPECT_EQ(buffer.Take(kReadAlignment), nullptr);
}

}  // namespace
}  // namespace headrace
