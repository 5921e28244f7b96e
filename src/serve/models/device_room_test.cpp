#include "serve/models/device_room.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

cli::Device Card(const char* name, uint64_t total, uint64_t free) {
  cli::Device device;
  device.name = name;
  device.total_bytes = total;
  device.free_bytes = free;
  return device;
}

uint64_t FreeOf(const DeviceHolders& others, uint64_t free = 600) {
  return DevicesLeft({Card("A", 1000, free), Card("B", 500, 500)}, others)[0].free_bytes;
}

TEST(DevicesLeft, WhatIsFreeNowIsLeft) {
  EXPECT_EQ(FreeOf({}), 600u);
  EXPECT_EQ(FreeOf({{{"A", 300, 50, 50}}, {}, {}}), 600u) << "what a model holds is not free";
}

TEST(DevicesLeft, WhatEndsIsFreeAndWhatStartsAgainIsNot) {
  EXPECT_EQ(FreeOf({{}, {}, {{"A", 200, 50, 50}}}), 900u);
  EXPECT_EQ(FreeOf({{}, {}, {{"B", 200, 50, 50}}}), 600u) << "another device";
  EXPECT_EQ(FreeOf({{{"A", 300, 0, 0}}, {{"A", 300, 0, 0}}, {}}), 300u);
  EXPECT_EQ(FreeOf({{{"A", 900, 0, 0}}, {{"A", 900, 0, 0}}, {}}), 0u);
}

TEST(DevicesLeft, ADriverThatAlwaysSaysAllIsFreeIsNotBelieved) {
  EXPECT_EQ(FreeOf({{{"A", 300, 50, 50}}, {}, {}}, 1000), 600u);
  EXPECT_EQ(FreeOf({{}, {}, {{"A", 200, 50, 50}}}, 1000), 1000u) << "never more than there is";
}

}  // namespace
}  // namespace headrace::serve
