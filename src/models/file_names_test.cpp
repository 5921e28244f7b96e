#include "models/file_names.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

TEST(FileNames, Quantization) {
  EXPECT_EQ(QuantizationIn("Qwen3-30B-A3B-Q4_K_M.gguf"), "Q4_K_M");
  EXPECT_EQ(QuantizationIn("sub/Qwen3-UD-Q4_K_XL-00001-of-00002.gguf"), "UD-Q4_K_XL");
  EXPECT_EQ(QuantizationIn("model.i1-IQ2_XXS.gguf"), "IQ2_XXS");
  EXPECT_EQ(QuantizationIn("austen-dense-q4_0.GGUF"), "Q4_0");
  EXPECT_EQ(QuantizationIn("gpt-oss-20b-MXFP4.gguf"), "MXFP4");
  EXPECT_EQ(QuantizationIn("gemma-BF16.gguf"), "BF16");
  EXPECT_EQ(QuantizationIn("Q4/notes-on-Quality-F.gguf"), "");
  EXPECT_EQ(QuantizationIn(""), "");
}

TEST(FileNames, WhatIsAModel) {
  for (const char* name : {"a.gguf", "a.GGUF", "a-00001-of-00002.gguf", "a-00003-of-00002.gguf"})
    EXPECT_TRUE(IsModelFileName(name)) << name;
  for (const char* name : {"._a.gguf", "a-00002-of-00002.gguf", "a.gguf.headrace-part", "gguf", ""})
    EXPECT_FALSE(IsModelFileName(name)) << name;
  EXPECT_TRUE(IsBesideModel("x/mmproj-F16.gguf"));
  EXPECT_FALSE(IsBesideModel("mmproj/a.gguf"));
  EXPECT_TRUE(IsProjectorName("a-mmproj-f16.gguf"));
  EXPECT_EQ(ModelStem("x/a-00001-of-00002.gguf"), "x/a");
  EXPECT_EQ(ModelStem("x/a.GGUF"), "x/a");
}

TEST(NameAsText, WhatIsNoTextIsWrittenOut) {
  EXPECT_EQ(NameAsText("sub/ünï 100%.x"), "sub/ünï 100%.x");
  EXPECT_EQ(NameAsText("a\xff\xfe"), "a%FF%FE");
  EXPECT_EQ(NameAsText("a\nb\x1b[2J\x7f"), "a%0Ab%1B[2J%7F");
  EXPECT_EQ(NameAsText("a\xc2\x9bz"), "a%C2%9Bz") << "a control character in two bytes";
  EXPECT_EQ(NameAsText("cut \xe2\x82"), "cut %E2%82");
}

}  // namespace
}  // namespace headrace
