#include "engine/engine_verdict.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "base/temporary_tree.h"

namespace headrace::cli {
namespace {

TEST(EngineVerdict, ComesBackFromItsFile) {
  const EngineVerdicts verdicts = {{"a", {1'800'000'000, true, "4 of 4"}}, {"b", {1'800'000'001, false, "\xff"}}};
  const EngineVerdicts read = ParseVerdicts(RenderVerdicts(verdicts));
  ASSERT_EQ(read.size(), 2u);
  EXPECT_TRUE(read.at("a").same);
  EXPECT_EQ(read.at("a").text, "4 of 4");
  EXPECT_FALSE(read.at("b").same);
  EXPECT_EQ(DescribeVerdict(read.at("a")), "2027-01-15: 4 of 4");
}

TEST(EngineVerdict, WhatIsNoWholeVerdictIsIgnored) {
  for (const char* text : {"", "[]", "{\"a\": 1}", "{\"a\": {\"at\": 5, \"same\": 1, \"text\": \"t\"}}",
                           "{\"a\": {\"same\": true, \"text\": \"t\"}}", "{\"a\": {\"at\": 5, \"same\": true}}",
                           "{\"a\": {\"at\": 18446744073709551615, \"same\": true, \"text\": \"t\"}}"}) {
    EXPECT_TRUE(ParseVerdicts(text).empty()) << text;
  }
}

TEST(EngineVerdict, TheNewestAreKept) {
  EngineVerdicts verdicts;
  for (size_t i = 0; i < kMostVerdicts + 2; ++i)
    verdicts[std::to_string(i)] = {static_cast<int64_t>(100 - i), true, "t"};
  const EngineVerdicts read = ParseVerdicts(RenderVerdicts(verdicts));
  EXPECT_EQ(read.size(), kMostVerdicts);
  EXPECT_EQ(read.count("0"), 1u);
  EXPECT_EQ(read.count(std::to_string(kMostVerdicts + 1)), 0u);
}

TEST(EngineVerdict, BelongsToTheFilesAndTheProcessorThatWereChecked) {
  constexpr const char* kCpu = "flags : avx2 avx512f\n";
  TemporaryTree tree;
  const Engine engine{tree.Path("bin"), "--engine"};
  const std::string server = tree.Program("bin/llama-server"), library = tree.File("headrace.so", "1");
  EXPECT_EQ(EngineKey(engine, library, kCpu), "") << "the engine has no ggml";
  tree.File("lib/libggml-base.so", "1");
  const std::string key = EngineKey(engine, library, kCpu);
  ASSERT_NE(key, "");
  EXPECT_EQ(EngineKey(engine, library, kCpu), key);
  tree.File("lib/libllama.so", "1");
  const std::string with_llama = EngineKey(engine, library, kCpu);
  EXPECT_NE(with_llama, key);
  EXPECT_NE(EngineKey(engine, library, "flags : avx2\n"), with_llama) << "another processor";
  const auto written = std::filesystem::last_write_time(library);
  tree.File("copy", "1");
  std::filesystem::rename(tree.Path("copy"), library);
  std::filesystem::last_write_time(library, std::chrono::floor<std::chrono::seconds>(written));
  EXPECT_EQ(EngineKey(engine, library, kCpu), with_llama) << "the same file out of an image";
  tree.File("headrace.so", "12");
  EXPECT_NE(EngineKey(engine, library, kCpu), with_llama) << "another version of headrace";
  std::filesystem::remove(server);
  EXPECT_EQ(EngineKey(engine, library, kCpu), "");
}

}  // namespace
}  // namespace headrace::cli
