#include "memory/available.h"

#include <gtest/gtest.h>

#include "base/size.h"
#include "base/text_file_test.h"
#include "memory/statm_test.h"

namespace headrace {
namespace {

constexpr const char* kMeminfo =
    "MemTotal:       16303424 kB\nMemFree:          512000 kB\nMemAvailable:    8388608 kB\nBuffers: 1 kB\n";

TEST(Meminfo, ReadsTotalAndAvailable) {
  const auto info = ParseMeminfo(kMeminfo);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->total_bytes, 16303424u * kKiB);
  EXPECT_EQ(info->available_bytes, 8 * kGiB);
  EXPECT_FALSE(ParseMeminfo(""));
  EXPECT_FALSE(ParseMeminfo("MemTotal: 5 kB\n"));
  EXPECT_FALSE(ParseMeminfo("MemTotal: x kB\nMemAvailable: y kB\n"));
}

const std::string kStatm = Statm(256, 64, 16, 128);

std::map<std::string, std::string> Machine() {
  return {{"/proc/meminfo", kMeminfo},
          {"/proc/self/statm", kStatm},
          {"/proc/self/cgroup", "0::/one\n"},
          {"/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"}};
}

TEST(Statm, Parts) {
  const auto memory = ParseStatm(kStatm);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->anonymous_bytes, 48 * kMiB);
  EXPECT_EQ(memory->file_bytes, 16 * kMiB);
  EXPECT_EQ(memory->private_bytes, 128 * kMiB);
  EXPECT_EQ(memory->address_bytes, 256 * kMiB);
  EXPECT_FALSE(ParseStatm("1 2 3"));
  EXPECT_FALSE(ParseStatm(""));
}

TEST(Available, TightestOfAll) {
  auto files = Machine();
  const auto find = [&](const AddressLimits& limits = {}) { return FindAvailableMemory(TextFiles(files), limits); };
  EXPECT_EQ(find().bytes, 8 * kGiB);
  EXPECT_EQ(find().limited_by, "free memory");
  EXPECT_EQ(find({16 * kGiB, std::nullopt}).bytes, 8 * kGiB);
  EXPECT_EQ(find({4 * kGiB, std::nullopt}).bytes, 4 * kGiB - 256 * kMiB);
  EXPECT_EQ(find({4 * kGiB, std::nullopt}).limited_by, "address space limit (ulimit -v) of 4.00 GiB");
  EXPECT_EQ(find({4 * kGiB, 2 * kGiB}).bytes, 2 * kGiB - 128 * kMiB);
  EXPECT_EQ(find({4 * kGiB, 2 * kGiB}).limited_by, "data size limit (ulimit -d) of 2.00 GiB");
  EXPECT_EQ(find({std::nullopt, kMiB}).bytes, 0u) << "more is used than allowed";

  files["/sys/fs/cgroup/one/memory.max"] = "1073741824\n";
  files["/sys/fs/cgroup/one/memory.current"] = "268435456\n";
  EXPECT_EQ(find({4 * kGiB, 2 * kGiB}).bytes, 768 * kMiB);
  EXPECT_EQ(find({4 * kGiB, 2 * kGiB}).limited_by, "cgroup v2 limit of 1.00 GiB");

  EXPECT_EQ(FindAvailableMemory(TextFiles({}), {}).bytes, 0u);
}

TEST(Available, MarginAndAutomaticLimit) {
  EXPECT_EQ(MarginBytes(10 * kGiB), kGiB);
  EXPECT_EQ(MarginBytes(100 * kMiB), 64 * kMiB);
  EXPECT_EQ(MarginBytes(kMiB), kMiB);
  EXPECT_EQ(AutomaticLimit({10 * kGiB, ""}, std::nullopt), 9 * kGiB);
  ProcessMemory own;
  own.anonymous_bytes = 3 * kGiB;
  EXPECT_EQ(AutomaticLimit({10 * kGiB, ""}, own), 13 * kGiB - 13 * kGiB / 10)
      << "what it holds is not available, but its own";
  EXPECT_EQ(HardLimit({10 * kGiB, ""}, own), 13 * kGiB - 13 * kGiB / 32);
  EXPECT_EQ(HardLimit({100 * kMiB, ""}, std::nullopt), 36 * kMiB);
  EXPECT_EQ(HardLimit({0, "free memory"}, std::nullopt), 0u);
  EXPECT_EQ(HardLimit({}, own), UINT64_MAX);
  EXPECT_EQ(AutomaticLimit({}, own), kUnknownMemoryLimit);
}

TEST(Available, OfThisMachine) {
  const auto own = ReadProcessMemory(ReadTextFile);
  ASSERT_TRUE(own);
  EXPECT_GT(own->anonymous_bytes, 0u);
  EXPECT_GE(own->private_bytes, own->anonymous_bytes / 2);
  EXPECT_GT(FindAvailableMemory(ReadTextFile, ReadAddressLimits()).bytes, 0u);
}

}  // namespace
}  // namespace headrace
