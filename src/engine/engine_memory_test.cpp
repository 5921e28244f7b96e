#include "engine/engine_memory.h"

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

using Arguments = std::vector<std::string>;

TEST(MemoryArguments, KeepsWhatChangesAllocations) {
  const OptionNames known({"-c", "-ub", "-ctk", "-fa", "--swa-full", "-m"});
  EXPECT_EQ(
      MemoryArguments({"-m", "m.gguf", "-c", "512", "--temp", "0", "-fa", "on", "--swa-full", "-p", "-ub"}, known),
      (Arguments{"-c", "512", "-fa", "on", "--swa-full"}))
      << "a prompt of \"-ub\" at the end has no value";
  EXPECT_EQ(MemoryArguments({"-ctk", "q8_0", "-ctv", "q8_0", "-c"}, known), (Arguments{"-ctk", "q8_0"}))
      << "unknown and incomplete ones";
}

TEST(OptionValue, TheLastOneCounts) {
  EXPECT_EQ(OptionValue({"-c", "1", "--ctx-size", "2"}, {"-c", "--ctx-size"}), "2");
  EXPECT_EQ(OptionValue({"-c"}, {"-c"}), std::nullopt);
  EXPECT_EQ(OptionValue({}, {"-c"}), std::nullopt);
}

TEST(OptionNumber, NoneIsZero) {
  EXPECT_EQ(OptionNumber({"-c", "1", "--ctx-size", "2"}, {"-c", "--ctx-size"}), 2u);
  EXPECT_EQ(OptionNumber({"-c", "many"}, {"-c"}), 0u);
  EXPECT_EQ(OptionNumber({"-c", "-1"}, {"-c"}), 0u);
  EXPECT_EQ(OptionNumber({"-c"}, {"-c"}), 0u);
}

TEST(SharesCache, TheLastWordCounts) {
  EXPECT_EQ(SharesCache({"-c", "1"}), std::nullopt);
  EXPECT_EQ(SharesCache({"-kvu"}), true);
  EXPECT_EQ(SharesCache({"--kv-unified", "--no-kv-unified"}), false);
  EXPECT_EQ(SharesCache({"-no-kvu", "-kvu"}), true);
}

TEST(AdapterFiles, AreAllThatAreNamed) {
  EXPECT_EQ(AdapterFiles({"--lora", "a,b", "-c", "1", "--lora", "c"}), (Arguments{"a", "b", "c"}));
  EXPECT_EQ(
      AdapterFiles({"--lora-scaled", "a:0.5,dir/b:1", "--control-vector-scaled", "v:-1", "--control-vector", "w"}),
      (Arguments{"a", "dir/b", "v", "w"}));
  EXPECT_EQ(AdapterFiles({"--lora"}), Arguments());
  EXPECT_EQ(AdapterFiles({"-m", "x.gguf", "--temp", "1"}), Arguments());
  EXPECT_EQ(AdapterFiles({"--lora", "a.gguf,b.gguf", "--control-vector", "c.gguf"}),
            (Arguments{"a.gguf", "b.gguf", "c.gguf"}));
  EXPECT_EQ(AdapterFiles({"--lora-scaled", "a.gguf:0.5,/x:y/b.gguf:2", "--control-vector-scaled", "c.gguf:-1"}),
            (Arguments{"a.gguf", "/x:y/b.gguf", "c.gguf"}));
  EXPECT_EQ(AdapterFiles({"--lora", R"("a,1.gguf",b.gguf)"}), (Arguments{"a,1.gguf", "b.gguf"}));
  EXPECT_EQ(AdapterFiles({"--lora", R"("a""1.gguf")"}), Arguments{"a\"1.gguf"});
}

TEST(ParseFitPrint, TakesTheHostsLine) {
  const auto memory = ParseFitPrint(
      "0.00.014 I llama_fit_params: printing estimated memory in MiB to stdout (device, ...) ...\n"
      "CUDA0 7401 814 517 \nHost 70 128 132 \n");
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->context_bytes, 128 * kMiB);
  EXPECT_NEAR(static_cast<double>(memory->compute_bytes), 132.0 * kMiB, kMiB);
  ASSERT_EQ(memory->devices.size(), 1u);
  EXPECT_EQ(memory->devices[0].name, "CUDA0");
  EXPECT_NEAR(static_cast<double>(memory->devices[0].weight_bytes), 7401.0 * kMiB, kMiB);
  EXPECT_NEAR(static_cast<double>(memory->devices[0].total_bytes()), (7401.0 + 814 + 517) * kMiB, 3.0 * kMiB);
  EXPECT_TRUE(ParseFitPrint("Host 70 128 132\n")->devices.empty());
  EXPECT_FALSE(ParseFitPrint("CUDA0 1 2 3\n"));
  for (const char* text : {"", "Host", "Host 1 2", "Host 1 2 x", "Host 1 2 3 4", "error: unable to load model"}) {
    EXPECT_FALSE(ParseFitPrint(text)) << text;
  }
}

}  // namespace
}  // namespace headrace::cli
