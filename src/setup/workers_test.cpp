#include "setup/workers.h"

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

constexpr double kGigabit = 118e6, kDisk = 3.5e9;

TEST(WorkerLink, ANetworkIsWorthMoreThanADiskUnlessItIsSlowOrFar) {
  const auto pays = [](double round_trip_s, double bytes_per_s, uint64_t bytes) {
    return NetworkSeconds({round_trip_s, bytes_per_s}) <= DiskSeconds(bytes, kDisk);
  };
  EXPECT_TRUE(pays(0.0003, kGigabit, 2 * kGiB));
  EXPECT_TRUE(pays(0.0003, kGigabit / 10, 2 * kGiB));
  EXPECT_FALSE(pays(0.060, 1e6, 2 * kGiB));
  EXPECT_TRUE(pays(0.060, 1e6, 16 * kGiB)) << "what it holds would take the disk far longer";
  EXPECT_FALSE(pays(0.300, kGigabit, kGiB));
  EXPECT_TRUE(pays(0.0003, 0, kGiB)) << "a speed that is unknown leaves nobody out";
}

TEST(WorkerLink, Seconds) {
  EXPECT_DOUBLE_EQ(NetworkSeconds({0.1, 0}), 13);
  EXPECT_NEAR(NetworkSeconds({0, 65536 * 576}), 1, 1e-9);
  EXPECT_DOUBLE_EQ(DiskSeconds(1'000'000'000, 1e9), 65);
  EXPECT_DOUBLE_EQ(DiskSeconds(3'500'000'000, 0), 65) << "a fast disk where none was measured";
}

TEST(Workers, ThoseThatAreUsedAreNumberedAnew) {
  const std::vector<Device> asked = {{.name = "CUDA0", .description = "a card"},
                                     {.name = "RPC0", .description = "a:1", .remote = true},
                                     {.name = "RPC1", .description = "b:1", .remote = true},
                                     {.name = "RPC2", .description = "b:1", .remote = true},
                                     {.name = "RPC3", .description = "c:1", .remote = true}};
  const auto devices = DevicesWith({"b:1", "c:1"}, asked);
  ASSERT_EQ(devices.size(), 4u);
  EXPECT_EQ(devices[0].name, "CUDA0");
  EXPECT_EQ(devices[1].name, "RPC0");
  EXPECT_EQ(devices[1].description, "b:1");
  EXPECT_EQ(devices[2].name, "RPC1");
  EXPECT_EQ(devices[3].name, "RPC2");
  EXPECT_EQ(devices[3].description, "c:1");
}

}  // namespace
}  // namespace headrace::cli
