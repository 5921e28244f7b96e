#include "top/verdict.h"

#include <gtest/gtest.h>

#include "base/size.h"
#include "top/watch.h"

namespace headrace::top {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// 8 GiB of weights, half of them streamed.
cli::Statistics Dense() {
  cli::Statistics s;
  s.state = Snapshot::kStreaming;
  s.weight_bytes = 8 * kGiB;
  s.resident_bytes = s.resident_target_bytes = 4 * kGiB;
  s.streamed_bytes_per_pass = 4 * kGiB;
  s.passes = 10;
  return s;
}

Rates Busy(double wait, double kernel, double engine = 0.05) {
  Rates rates;
  rates.seconds = 1;
  rates.busy_share = 0.9;
  rates.wait_share = wait;
  rates.kernel_share = kernel;
  rates.engine_share = engine;
  rates.pass_disk_bytes_per_s = 2e9;
  return rates;
}

const Machine kRoomy{2.2e9, 2e10, 64 * kGiB};
const Machine kFull{2.2e9, 2e10, 0};

TEST(Judge, WhatDoesNothing) {
  EXPECT_EQ(Judge({}, Busy(1, 0), kRoomy).limit, Limit::kPassive);
  cli::Statistics placed;
  placed.uploaded_bytes = 8 * kGiB;
  EXPECT_EQ(Judge(placed, Busy(1, 0), kRoomy).limit, Limit::kPassive);
  EXPECT_TRUE(Has(Judge(placed, Busy(1, 0), kRoomy).advice, "all layers are on devices"));
  cli::Statistics s = Dense();
  Rates idle = Busy(0.8, 0.1);
  idle.busy_share = 0.001;
  EXPECT_EQ(Judge(s, idle, kRoomy).limit, Limit::kIdle);
  s.state = Snapshot::kLoading;
  EXPECT_EQ(Judge(s, idle, kRoomy).limit, Limit::kLoading);
  EXPECT_TRUE(Has(Judge(s, idle, kRoomy).advice, "4.00 GiB of 4.00 GiB"));
}

TEST(Judge, DiskBoundWithFreeMemory) {
  const Verdict verdict = Judge(Dense(), Busy(0.8, 0.15), kRoomy);
  EXPECT_EQ(verdict.limit, Limit::kDisk);
  EXPECT_EQ(verdict.advice, "4.00 GiB more memory, which is free: 5.0 times as fast");
}

TEST(Judge, DiskBoundWithoutFreeMemory) {
  const Verdict verdict = Judge(Dense(), Busy(0.8, 0.15), kFull);
  EXPECT_EQ(verdict.limit, Limit::kDisk);
  EXPECT_EQ(verdict.advice, "4.00 GiB more memory than this machine has free: 5.0 times as fast");
}

TEST(Judge, DiskBoundWhereMemoryWouldHardlyHelp) {
  cli::Statistics s = Dense();
  s.weight_bytes = 400 * kGiB;
  s.streamed_bytes_per_pass = 396 * kGiB;
  EXPECT_TRUE(Has(Judge(s, Busy(0.9, 0.05), kFull).advice, "a draft model"));
}

TEST(Judge, ADiskBelowItsProbe) {
  Rates rates = Busy(0.8, 0.15);
  rates.pass_disk_bytes_per_s = 1e9;
  EXPECT_TRUE(Has(Judge(Dense(), rates, kRoomy).advice, "the disk gives 1.00 of its 2.20 GB/s"));
  EXPECT_FALSE(Has(Judge(Dense(), rates, {0, 0, 0}).advice, "the disk gives")) << "nothing was probed";
}

TEST(Judge, MemoryAndComputeBound) {
  Rates rates = Busy(0.1, 0.8);
  rates.memory_bytes_per_s = 1.5e10;
  EXPECT_EQ(Judge(Dense(), rates, kRoomy).limit, Limit::kMemory);
  EXPECT_EQ(Judge(Dense(), rates, {2.2e9, 0, 0}).limit, Limit::kCompute) << "the memory's speed is unknown";
  rates.memory_bytes_per_s = 5e9;
  const Verdict compute = Judge(Dense(), rates, kRoomy);
  EXPECT_EQ(compute.limit, Limit::kCompute);
  EXPECT_TRUE(Has(compute.advice, "more threads"));
  EXPECT_TRUE(Has(Judge(Dense(), Busy(0.1, 0.3, 0.6), kRoomy).advice, "shorter context"));
}

TEST(SpeedUp, IsBoundedByComputing) {
  const cli::Statistics s = Dense();
  EXPECT_DOUBLE_EQ(SpeedUp(s, Busy(1, 0), 0), 1);
  EXPECT_DOUBLE_EQ(SpeedUp(s, Busy(1, 0), 2 * kGiB), 2);
  EXPECT_DOUBLE_EQ(SpeedUp(s, Busy(0.25, 0.7), 4 * kGiB), 1 / 0.75);
  double last = 0;
  for (uint64_t more = 0; more <= 8 * kGiB; more += kGiB) {
    const double faster = SpeedUp(s, Busy(0.9, 0.1), more);
    EXPECT_GE(faster, std::max(last, 1.0));
    last = faster;
  }
}

TEST(SpeedUp, ExpertsComeAfterWhatEachPassUses) {
  cli::Statistics s = Dense();
  s.streamed_bytes_per_pass = 0;
  s.expert_bytes = 30 * kGiB;
  s.expert_cache_bytes = 10 * kGiB;
  s.expert_bytes_read = 10 * kGiB;
  EXPECT_DOUBLE_EQ(SpeedUp(s, Busy(1, 0), 10 * kGiB), 2) << "half of the absent experts";
  EXPECT_DOUBLE_EQ(SpeedUp({}, Busy(1, 0), kGiB), 1) << "nothing is read";
}

TEST(MachineOf, TakesTheYoungestOfTheDisk) {
  cli::ProfileEntries profiles;
  profiles["254:0 | 0.6.0"] = {1e9, true, false, 1e10, 0, 100};
  profiles["254:0 | 0.7.0"] = {2e9, true, false, 2e10, 0, 200};
  profiles["254:1 | 0.7.0"] = {3e9, true, false, 3e10, 0, 300};
  const uint64_t device = 254 << 8;  // makedev(254, 0)
  EXPECT_EQ(MachineOf(profiles, device, 0).disk_bytes_per_s, 2e9);
  EXPECT_EQ(MachineOf(profiles, device, 0).memory_bytes_per_s, 2e10);
  EXPECT_EQ(MachineOf(profiles, device, 5).disk_bytes_per_s, 5) << "what the process was told";
  EXPECT_EQ(MachineOf(profiles, 9, 0).disk_bytes_per_s, 0);
}

}  // namespace
}  // namespace headrace::top
