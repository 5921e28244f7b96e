#include "check/engine_check.h"

#include <gtest/gtest.h>

namespace headrace::check {
namespace {

TEST(EngineCheck, IsTheSameOnlyWhenAllCasesAre) {
  const CaseResult same{Outcome::kSame, "the same", 0}, differs{Outcome::kDiffers, "different text", 0},
      failed{Outcome::kFailed, "no memory", 0};
  EXPECT_TRUE(Judge({same, same}, 7).same);
  EXPECT_EQ(Judge({same, same}, 7).at, 7);
  EXPECT_FALSE(Judge({same, differs}, 7).same);
  EXPECT_EQ(Judge({same, differs}, 7).text,
            "1 of 2 the same with streamed weights as without, 1 different; different text");
  EXPECT_FALSE(Judge({failed, same}, 7).same);
  EXPECT_EQ(Judge({failed, same}, 7).text, "1 of 2 the same with streamed weights as without; no memory");
}

TEST(EngineCheck, HasADenseModelAndAMixtureWithBothKindsOfKernels) {
  cli::SearchPaths paths;
  paths.binary_dir = std::string(HEADRACE_SOURCE_DIR) + "/build/release/src";
  const auto cases = CheckCases(paths);
  ASSERT_TRUE(cases.ok()) << cases.status().message();
  EXPECT_EQ(cases->size(), 4u);
  paths.binary_dir = "/nowhere/bin";
  EXPECT_EQ(CheckCases(paths).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace headrace::check
