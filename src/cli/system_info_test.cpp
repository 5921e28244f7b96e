#include "cli/system_info.h"

#include <map>

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

ReadText Files(std::map<std::string, std::string> files) {
  return [files = std::move(files)](const std::string& path) -> std::optional<std::string> {
    const auto it = files.find(path);
    return it == files.end() ? std::nullopt : std::optional<std::string>(it->second);
  };
}

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

TEST(Cgroup, VersionTwoTakesTheTightestGroupUpToTheRoot) {
  const auto read = Files({
      {"/proc/self/cgroup", "0::/user.slice/app.scope\n"},
      {"/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"},
      {"/sys/fs/cgroup/user.slice/app.scope/memory.max", "max\n"},
      {"/sys/fs/cgroup/user.slice/memory.max", "2147483648\n"},
      {"/sys/fs/cgroup/user.slice/memory.current", "1073741824\n"},
      {"/sys/fs/cgroup/user.slice/memory.stat", "anon 5\nactive_file 268435456\ninactive_file 268435456\n"},
      {"/proc/meminfo", kMeminfo},
  });
  const auto limit = FindCgroupLimit(read);
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->version, 2);
  EXPECT_EQ(limit->directory, "/sys/fs/cgroup/user.slice");
  EXPECT_EQ(limit->limit_bytes, 2 * kGiB);
  EXPECT_EQ(limit->available_bytes(), kGiB + kGiB / 2);
  const auto available = FindAvailableMemory(read);
  EXPECT_EQ(available.bytes, kGiB + kGiB / 2);
  EXPECT_EQ(available.limited_by, "cgroup v2 limit of 2.00 GiB");
}

TEST(Cgroup, VersionOneInAHybridMount) {
  const auto read = Files({
      {"/proc/self/cgroup", "4:cpu,memory:/jobs/one\n0::/\n"},
      {"/proc/self/mountinfo",
       "35 31 0:32 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,cpu,memory\n"
       "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"},
      {"/sys/fs/cgroup/my memory/jobs/one/memory.limit_in_bytes", "734003200\n"},
      {"/sys/fs/cgroup/my memory/jobs/one/memory.usage_in_bytes", "104857600\n"},
      {"/sys/fs/cgroup/my memory/jobs/one/memory.stat", "inactive_file 1\ntotal_inactive_file 52428800\n"},
      {"/sys/fs/cgroup/my memory/memory.limit_in_bytes", "9223372036854771712\n"},
  });
  const auto limit = FindCgroupLimit(read);
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->version, 1);
  EXPECT_EQ(limit->limit_bytes, 700 * kMiB);
  EXPECT_EQ(limit->available_bytes(), 650 * kMiB);
}

TEST(Cgroup, ContainerWhoseMountShowsItsOwnGroup) {
  const auto read = Files({
      {"/proc/self/cgroup", "4:memory:/docker/abc\n"},
      {"/proc/self/mountinfo", "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"},
  });
  const auto limit = FindCgroupLimit(read);
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->available_bytes(), kGiB);
}

TEST(Cgroup, NoneAndNonsense) {
  EXPECT_FALSE(FindCgroupLimit(Files({})));
  EXPECT_FALSE(FindCgroupLimit(Files({{"/proc/self/cgroup", "::::\n\nx"}, {"/proc/self/mountinfo", "- - -\n a b - c\n"}})));
  const auto available = FindAvailableMemory(Files({{"/proc/meminfo", kMeminfo}}));
  EXPECT_EQ(available.bytes, 8 * kGiB);
  EXPECT_EQ(available.limited_by, "free memory");
  EXPECT_EQ(FindAvailableMemory(Files({})).bytes, 0u);
}

TEST(Cgroup, UsedAboveTheLimitLeavesNothing) {
  CgroupLimit limit;
  limit.limit_bytes = 10;
  limit.used_bytes = 20;
  limit.page_cache_bytes = 5;
  EXPECT_EQ(limit.available_bytes(), 0u);
}

TEST(Cpu, FlagsAndModel) {
  const char* text = "processor : 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t\t: fpu avx2  fma f16c avx512f\n\nflags : other\n";
  const auto flags = ParseCpuFlags(text);
  EXPECT_EQ(flags, (std::set<std::string>{"fpu", "avx2", "fma", "f16c", "avx512f"}));
  EXPECT_EQ(DescribeCpu(flags), "AVX2 FMA F16C AVX-512");
  EXPECT_EQ(ParseCpuModel(text), "Some CPU @ 3 GHz");
  EXPECT_TRUE(ParseCpuFlags("").empty());
}

TEST(Selected, Bracketed) {
  EXPECT_EQ(ParseSelected("always [madvise] never\n"), "madvise");
  EXPECT_EQ(ParseSelected("none"), "");
  EXPECT_EQ(ParseSelected("[broken"), "");
}

TEST(ReadAhead, OfAPartitionIsItsDisks) {
  EXPECT_EQ(ReadAheadKib(Files({{"/sys/dev/block/259:2/../queue/read_ahead_kb", "128\n"}}), 259, 2), 128u);
  EXPECT_EQ(ReadAheadKib(Files({{"/sys/class/bdi/0:44/read_ahead_kb", "4096\n"}}), 0, 44), 4096u);
  EXPECT_FALSE(ReadAheadKib(Files({}), 1, 2));
}

TEST(FileSystem, Names) {
  EXPECT_EQ(FileSystemName(0xef53), "ext4");
  EXPECT_EQ(FileSystemName(0x1234), "type 0x1234");
}

}  // namespace
}  // namespace headrace::cli
