#include "memory/weights_allowance.h"

#include <cstring>
#include <memory>

#include <gtest/gtest.h>

#include "base/size.h"
#include "base/text_file_test.h"
#include "memory/region.h"

namespace headrace {
namespace {

constexpr uint64_t kSlack = 20 * kMiB;  // rounding, and what the test itself allocates

WeightsAllowance::Limits Process(uint64_t bytes, uint64_t foretold = 0) { return {bytes, std::nullopt, foretold}; }

TEST(WeightsAllowance, WeightsAloneAreNotMeasured) {
  WeightsAllowance allowance({std::nullopt, kGiB, 0}, ReadTextFile);
  EXPECT_EQ(allowance.Bytes(), kGiB);
  allowance.SetPassive(300 * kMiB, 300 * kMiB);
  EXPECT_EQ(allowance.Bytes(), kGiB - 300 * kMiB);
}

TEST(WeightsAllowance, AllocationsCountBeforeTheyAreTouched) {
  const WeightsAllowance allowance(Process(2 * kGiB), ReadTextFile);
  const uint64_t before = allowance.Bytes();
  EXPECT_GT(before, kGiB);
  constexpr uint64_t kBlock = 256 * kMiB;
  {
    const std::unique_ptr<char[]> block(new char[kBlock]);
    static_cast<volatile char*>(block.get())[0] = 1;
    EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before - kBlock), kSlack);
    std::memset(block.get(), 1, kBlock);
    EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before - kBlock), kSlack) << "and not twice";
  }
  EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before), kSlack) << "given back";
}

TEST(WeightsAllowance, UsedIsWhatWasTouched) {
  const WeightsAllowance allowance(Process(2 * kGiB), ReadTextFile);
  const uint64_t before = allowance.UsedBytes();
  EXPECT_GT(before, kMiB);
  const std::unique_ptr<char[]> block(new char[256 * kMiB]);
  EXPECT_NEAR(static_cast<double>(allowance.UsedBytes()), static_cast<double>(before), kSlack);
  std::memset(block.get(), 1, 256 * kMiB);
  EXPECT_NEAR(static_cast<double>(allowance.UsedBytes()), static_cast<double>(before + 256 * kMiB), kSlack);
}

TEST(WeightsAllowance, WeightsThemselvesAreNotTheRest) {
  const WeightsAllowance allowance(Process(2 * kGiB), ReadTextFile);
  const uint64_t before = allowance.Bytes();
  auto region = Region::Reserve(512 * kMiB);
  ASSERT_TRUE(region.ok());
  ASSERT_TRUE(region->Commit(0, 256 * kMiB).ok());
  std::memset(region->data(), 1, 128 * kMiB);
  EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before), kSlack);
  region->Decommit(0, 256 * kMiB);
  EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before), kSlack);
}

TEST(WeightsAllowance, WhatIsForetoldCountsFromTheStart) {
  EXPECT_EQ(WeightsAllowance(Process(2 * kGiB, kGiB), ReadTextFile).Bytes(), kGiB);
  EXPECT_EQ(WeightsAllowance(Process(kGiB, 2 * kGiB), ReadTextFile).Bytes(), 0u);
  WeightsAllowance beside({2 * kGiB, 100 * kMiB, kGiB}, ReadTextFile);
  EXPECT_EQ(beside.Bytes(), 100 * kMiB) << "the tighter of both";
}

// 256 MiB of address space, 64 resident, 16 of files, 128 private; then 200 private with 50 copied weights of 80.
TEST(WeightsAllowance, CopiedWeightsOfModelsThatFitCountOnce) {
  std::map<std::string, std::string> files = {{"/proc/self/statm", "65536 16384 4096 100 0 32768 0\n"}};
  WeightsAllowance allowance(Process(kGiB), [&](const std::string& path) { return TextFiles(files)(path); });
  EXPECT_EQ(allowance.Bytes(), AlignDown(kGiB - 64 * kMiB, 8 * kMiB)) << "code and structures";
  files["/proc/self/statm"] = "65536 16384 4096 100 0 51200 0\n";
  EXPECT_EQ(allowance.Bytes(), AlignDown(kGiB - 136 * kMiB, 8 * kMiB));
  allowance.SetPassive(80 * kMiB, 30 * kMiB);
  EXPECT_EQ(allowance.Bytes(), AlignDown(kGiB - 166 * kMiB, 8 * kMiB));
}

}  // namespace
}  // namespace headrace
