#include "engine/engine_memory.h"

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

using Arguments = EngineArguments;

TEST(MemoryArguments, KeepsWhatChangesAllocations) {
  const OptionNames known({"-c", "-ub", "-ctk", "-fa", "--swa-full", "-m"});
  EXPECT_EQ(
      MemoryArguments({"-m", "m.gguf", "-c", "512", "--temp", "0", "-fa", "on", "--swa-full", "-p", "-ub"}, known),
      (Arguments{"-c", "512", "-fa", "on", "--swa-full"}))
      << "a prompt of \"-ub\" at the end has no value";
  EXPECT_EQ(MemoryArguments({"-ctk", "q8_0", "-ctv", "q8_0", "-c"}, known), (Arguments{"-ctk", "q8_0"}))
      << "unknown and incomplete ones";
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
