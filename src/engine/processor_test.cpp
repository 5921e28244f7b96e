#include "engine/processor.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

TEST(Processor, FlagsAndModel) {
  const char* text =
      "processor : 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t\t: fpu avx2  fma f16c avx512f\n\nflags : other\n";
  const auto flags = ParseCpuFlags(text);
  EXPECT_EQ(flags, (std::set<std::string>{"fpu", "avx2", "fma", "f16c", "avx512f"}));
  EXPECT_EQ(DescribeCpu(flags), "AVX2 FMA F16C AVX-512");
  EXPECT_EQ(ParseCpuModel(text), "Some CPU @ 3 GHz");
  EXPECT_TRUE(ParseCpuFlags("").empty());
}

TEST(Processor, OfArm64) {
  const char* text =
      "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd asimddp sve i8mm\nCPU part\t: 0xd0b\n\n"
      "Revision\t: c04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n";
  EXPECT_EQ(DescribeCpu(ParseCpuFlags(text)), "NEON DOTPROD I8MM SVE");
  EXPECT_EQ(ParseCpuModel(text), "Raspberry Pi 5 Model B Rev 1.0");
  EXPECT_EQ(ParseCpuModel("processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU\n"), "Some CPU");
}

}  // namespace
}  // namespace headrace::cli
