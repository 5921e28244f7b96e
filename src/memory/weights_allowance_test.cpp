#include "memory/weights_allowance.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include <gtest/gtest.h>

#include "base/descriptor.h"
#include "base/size.h"
#include "base/text_file_test.h"
#include "memory/region.h"
#include "memory/statm_test.h"

namespace headrace {
namespace {

constexpr uint64_t kSlack = 20 * kMiB;  // rounding, and what the test itself allocates

WeightsAllowance::Limits Process(uint64_t bytes, uint64_t foretold = 0) {
  return {.process_bytes = bytes, .foretold_rest_bytes = foretold};
}

TEST(WeightsAllowance, WeightsAloneAreNotMeasured) {
  WeightsAllowance allowance({.weights_bytes = kGiB}, {}, ReadTextFile);
  EXPECT_EQ(allowance.Bytes(), kGiB);
  allowance.SetPassive(300 * kMiB, 300 * kMiB);
  EXPECT_EQ(allowance.Bytes(), kGiB - 300 * kMiB);
}

TEST(WeightsAllowance, AllocationsCountBeforeTheyAreTouched) {
  const WeightsAllowance allowance(Process(2 * kGiB), {}, ReadTextFile);
  const uint64_t before = allowance.Bytes();
  EXPECT_GT(before, kGiB);
  constexpr uint64_t kBlock = 256 * kMiB;
  {
    const std::unique_ptr<char[]> block(new char[kBlock]);
    static_cast<volatile char*>(block.get())[0] = 1;
    EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before - kBlock), kSlack);
    std::memset(block.get(), 1, kBlock);
    EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before - kBlock), kSlack)
        << "and not twice";
  }
  EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before), kSlack) << "given back";
}

TEST(WeightsAllowance, UsedIsWhatWasTouched) {
  const WeightsAllowance allowance(Process(2 * kGiB), {}, ReadTextFile);
  const uint64_t before = allowance.UsedBytes();
  EXPECT_GT(before, kMiB);
  const std::unique_ptr<char[]> block(new char[256 * kMiB]);
  EXPECT_NEAR(static_cast<double>(allowance.UsedBytes()), static_cast<double>(before), kSlack);
  std::memset(block.get(), 1, 256 * kMiB);
  EXPECT_NEAR(static_cast<double>(allowance.UsedBytes()), static_cast<double>(before + 256 * kMiB), kSlack);
}

TEST(WeightsAllowance, WeightsThemselvesAreNotTheRest) {
  const WeightsAllowance allowance(Process(2 * kGiB), {}, ReadTextFile);
  const uint64_t before = allowance.Bytes();
  auto region = Region::Reserve(512 * kMiB);
  ASSERT_TRUE(region.ok());
  ASSERT_TRUE(region->Commit(0, 256 * kMiB).ok());
  std::memset(region->data(), 1, 128 * kMiB);
  EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before), kSlack);
  region->Decommit(0, 256 * kMiB);
  EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before), kSlack);
}

// A mapping of a file, as a KV cache in one: neither its size nor what is touched of it, but what it was allowed.
TEST(WeightsAllowance, CachesInFilesCountWithTheMemoryMeantForThem) {
  for (const uint64_t foretold : {uint64_t{0}, kMiB}) {
    WeightsAllowance allowance(Process(2 * kGiB, foretold), {}, ReadTextFile);
    const uint64_t before = allowance.Bytes();
    constexpr uint64_t kBlock = 256 * kMiB;
    const Descriptor file(memfd_create("cache", MFD_CLOEXEC));
    ASSERT_EQ(ftruncate(file.get(), kBlock), 0);
    void* const cache = mmap(nullptr, kBlock, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    ASSERT_NE(cache, MAP_FAILED);
    std::memset(cache, 1, kBlock / 2);
    EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before), kSlack);
    allowance.SetFileCaches(160 * kMiB);
    EXPECT_NEAR(static_cast<double>(allowance.Bytes()), static_cast<double>(before - 160 * kMiB), kSlack + 32 * kMiB);
    EXPECT_LT(allowance.Bytes(), before - 100 * kMiB);
    munmap(cache, kBlock);
  }
}

TEST(WeightsAllowance, WhatIsForetoldCountsFromTheStart) {
  EXPECT_EQ(WeightsAllowance(Process(2 * kGiB, kGiB), {}, ReadTextFile).Bytes(), kGiB);
  EXPECT_EQ(WeightsAllowance(Process(2 * kGiB, kGiB + 1000), {}, ReadTextFile).Bytes(), kGiB - 1000) << "to the byte";
  EXPECT_EQ(WeightsAllowance(Process(kGiB, 2 * kGiB), {}, ReadTextFile).Bytes(), 0u);
  WeightsAllowance beside({.process_bytes = 2 * kGiB, .weights_bytes = 100 * kMiB, .foretold_rest_bytes = kGiB}, {},
                          ReadTextFile);
  EXPECT_EQ(beside.Bytes(), 100 * kMiB) << "the tighter of both";
}

// 256 MiB of address space, 64 resident, 16 of files, 128 private; then 200 private with 50 copied weights of 80.
TEST(WeightsAllowance, CopiedWeightsOfModelsThatFitCountOnce) {
  std::map<std::string, std::string> files = {{"/proc/self/statm", Statm(256, 64, 16, 128)}};
  WeightsAllowance allowance(Process(kGiB), {}, [&](const std::string& path) { return TextFiles(files)(path); });
  EXPECT_EQ(allowance.Bytes(), AlignDown(kGiB - 64 * kMiB, 8 * kMiB)) << "code and structures";
  files["/proc/self/statm"] = Statm(256, 64, 16, 200);
  EXPECT_EQ(allowance.Bytes(), AlignDown(kGiB - 136 * kMiB, 8 * kMiB));
  allowance.SetPassive(80 * kMiB, 30 * kMiB);
  EXPECT_EQ(allowance.Bytes(), AlignDown(kGiB - 166 * kMiB, 8 * kMiB));
}

// A machine with so much available memory, in which this process holds 512 MiB; 64 of them are code.
class Machine {
 public:
  explicit Machine(uint64_t available) {
    files_["/proc/self/statm"] = Statm(1024, 576, 64, 512);
    SetAvailable(available);
  }
  void SetAvailable(uint64_t bytes) {
    files_["/proc/meminfo"] = "MemTotal: 67108864 kB\nMemAvailable: " + std::to_string(bytes / kKiB) + " kB\n";
  }
  void SetStall(uint64_t microseconds) {
    files_["/proc/pressure/memory"] = "full avg10=0.00 total=" + std::to_string(microseconds) + "\n";
  }
  ReadText Reader() {
    return [this](const std::string& path) { return TextFiles(files_)(path); };
  }

 private:
  std::map<std::string, std::string> files_;
};

using std::chrono::milliseconds;

TEST(WeightsAllowance, FallsAtOnceAndRisesWhenItLasts) {
  Machine machine(8 * kGiB);
  WeightsAllowance::Clock::time_point now{};
  WeightsAllowance allowance({.automatic = true}, {}, machine.Reader(), now);
  const uint64_t all = 8 * kGiB + 512 * kMiB;
  EXPECT_EQ(allowance.process_limit(), all - all / 10);
  const auto at = [&](int after_ms, uint64_t available) {
    machine.SetAvailable(available);
    allowance.Refresh(now += milliseconds(after_ms));
    return allowance.process_limit();
  };
  const uint64_t few = 2 * kGiB + 512 * kMiB;
  EXPECT_EQ(at(200, 2 * kGiB), few - few / 10) << "less: at once";
  EXPECT_EQ(at(200, 8 * kGiB), few - few / 10) << "more: not yet";
  EXPECT_EQ(at(1500, 4 * kGiB), few - few / 10);
  EXPECT_EQ(at(1500, 8 * kGiB), 4608 * kMiB - 4608 * kMiB / 10) << "the least of the last two seconds";
  EXPECT_EQ(at(2500, 8 * kGiB), all - all / 10);
  EXPECT_EQ(at(2500, 8 * kGiB - 100 * kMiB), all - all / 10) << "what is available wavers";
  EXPECT_EQ(at(2500, 8 * kGiB + 300 * kMiB), all - all / 10);
}

TEST(WeightsAllowance, ANamedLimitIsNeverExceededAndGivesWayToWhatThereIs) {
  Machine machine(8 * kGiB);
  WeightsAllowance::Clock::time_point now{};
  WeightsAllowance allowance(Process(4 * kGiB), {}, machine.Reader(), now);
  EXPECT_EQ(allowance.process_limit(), 4 * kGiB);
  machine.SetAvailable(kGiB);
  allowance.Refresh(now += milliseconds(1));
  const uint64_t all = kGiB + 512 * kMiB;
  EXPECT_EQ(allowance.process_limit(), all - all / 32 - (all / 32 < 64 * kMiB ? 64 * kMiB - all / 32 : 0));
  EXPECT_NE(allowance.Describe().find("since no more is available"), std::string::npos) << allowance.Describe();
  machine.SetAvailable(20 * kGiB);
  for (int i = 0; i < 5; ++i) allowance.Refresh(now += milliseconds(1000));
  EXPECT_EQ(allowance.process_limit(), 4 * kGiB);

  WeightsAllowance weights({.weights_bytes = 6 * kGiB}, {}, machine.Reader(), now);
  EXPECT_EQ(weights.Bytes(), 6 * kGiB);
  machine.SetAvailable(kGiB);
  weights.Refresh(now);
  EXPECT_LT(weights.Bytes(), all) << "also where the user named a number for weights only";
  machine.SetAvailable(20 * kGiB);
  weights.Refresh(now += milliseconds(2500));
  weights.SetWeightsLimit(2 * kGiB);
  EXPECT_EQ(weights.Bytes(), 2 * kGiB);
}

TEST(WeightsAllowance, WhenItIsShortHalfOfWhatIsReallyFree) {
  Machine machine(8 * kGiB);
  // 512 MiB are held, 2 GiB are foretold.
  EXPECT_EQ(WeightsAllowance(Process(kGiB, 2 * kGiB), {}, machine.Reader()).Bytes(), 0u);
  const uint64_t held = Region::CommittedInProcess() + 576 * kMiB;
  EXPECT_EQ(WeightsAllowance(Process(held + 80 * kMiB, 2 * kGiB), {}, machine.Reader()).BytesWhenShort(), 40 * kMiB);
  EXPECT_EQ(WeightsAllowance(Process(held + kGiB, 2 * kGiB), {}, machine.Reader()).BytesWhenShort(), 64 * kMiB);
  EXPECT_EQ(WeightsAllowance(Process(400 * kMiB, 2 * kGiB), {}, machine.Reader()).BytesWhenShort(), 0u);
}

TEST(WeightsAllowance, HoldsBackWhileProgramsWaitForMemory) {
  Machine machine(8 * kGiB);
  machine.SetStall(0);
  WeightsAllowance::Clock::time_point now{};
  WeightsAllowance automatic({.automatic = true}, {}, machine.Reader(), now);
  WeightsAllowance named(Process(4 * kGiB), {}, machine.Reader(), now);
  const uint64_t before = automatic.process_limit();
  machine.SetStall(500'000);
  now += milliseconds(1000);
  automatic.Refresh(now);
  named.Refresh(now);
  EXPECT_EQ(automatic.process_limit(), before - before / 8);
  EXPECT_EQ(named.process_limit(), 4 * kGiB);
}

TEST(WeightsAllowance, LimitsOfAddressSpaceCountAsTheyWereAtTheStart) {
  Machine machine(8 * kGiB);
  WeightsAllowance::Clock::time_point now{};
  WeightsAllowance allowance({.automatic = true}, {3 * kGiB, std::nullopt}, machine.Reader(), now);
  const uint64_t limit = allowance.process_limit();
  EXPECT_LT(limit, 3 * kGiB);
  EXPECT_GT(limit, kGiB);
  allowance.Refresh(now + milliseconds(5000));
  EXPECT_EQ(allowance.process_limit(), limit);
}

}  // namespace
}  // namespace headrace
