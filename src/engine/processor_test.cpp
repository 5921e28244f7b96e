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

}  // namespace
}  // namespace headrace::cli
