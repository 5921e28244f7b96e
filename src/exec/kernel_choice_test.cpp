#include "exec/kernel_choice.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

KernelChoice::Observation Pass(uint64_t disk_mb_per_s) {
  return {.columns = 1,
          .bytes_read = disk_mb_per_s * 1'000'000,
          .wall_ns = 1'000'000'000,
          .packed_bytes = 7'000'000'000,
          .pack_ns = 1'000'000'000,
          .streamed_bytes = 2'000'000'000,
          .weight_bytes = 4'000'000'000};
}

TEST(KernelChoice, TheUsersWordIsFollowed) {
  KernelChoice plain(Kernels::kPlain, 0), repack(Kernels::kRepack, 0);
  for (int64_t columns : {1, 7, 512}) {
    EXPECT_FALSE(plain.PackStreamed(columns));
    EXPECT_TRUE(repack.PackStreamed(columns));
  }
}

TEST(KernelChoice, AutoRepacksNarrowBatchesWhereItHidesBehindTheDisk) {
  KernelChoice slow_disk(Kernels::kAuto, 0);
  slow_disk.Observe(Pass(500));
  EXPECT_TRUE(slow_disk.decided());
  EXPECT_TRUE(slow_disk.PackStreamed(1));

  KernelChoice fast_disk(Kernels::kAuto, 0);
  fast_disk.Observe(Pass(20'000));
  EXPECT_FALSE(fast_disk.PackStreamed(1));
  EXPECT_TRUE(fast_disk.PackStreamed(512));
}

TEST(KernelChoice, DecidesOnce) {
  KernelChoice choice(Kernels::kAuto, 0);
  choice.Observe(Pass(500));
  choice.Observe(Pass(20'000));
  EXPECT_TRUE(choice.PackStreamed(1));
}

TEST(KernelChoice, AMeasuredDiskIsTrustedOverTheFirstPass) {
  KernelChoice choice(Kernels::kAuto, 20e9);
  choice.Observe(Pass(500));
  EXPECT_FALSE(choice.PackStreamed(1));
}

TEST(KernelChoice, APassThatRepackedNothingDecidesNothing) {
  KernelChoice choice(Kernels::kAuto, 0);
  auto pass = Pass(500);
  pass.packed_bytes = 0;
  choice.Observe(pass);
  EXPECT_FALSE(choice.decided());
}

}  // namespace
}  // namespace headrace
