#include "commands/system_info.h"

#include <gtest/gtest.h>

#include "base/text_file_test.h"

namespace headrace::cli {
namespace {

TEST(Cpu, FlagsAndModel) {
  const char* text =
      "processor : 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t\t: fpu avx2  fma f16c avx512f\n\nflags : other\n";
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
  EXPECT_EQ(ReadAheadKib(TextFiles({{"/sys/dev/block/259:2/../queue/read_ahead_kb", "128\n"}}), 259, 2), 128u);
  EXPECT_EQ(ReadAheadKib(TextFiles({{"/sys/class/bdi/0:44/read_ahead_kb", "4096\n"}}), 0, 44), 4096u);
  EXPECT_FALSE(ReadAheadKib(TextFiles({}), 1, 2));
}

TEST(FileSystem, Names) {
  EXPECT_EQ(FileSystemName(0xef53), "ext4");
  EXPECT_EQ(FileSystemName(0x1234), "type 0x1234");
}

}  // namespace
}  // namespace headrace::cli
