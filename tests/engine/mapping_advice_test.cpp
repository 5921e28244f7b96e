// While weights stream the kernel must not read ahead in the mapping beside them; what is read through the mapping
// after all it must.
#include <gtest/gtest.h>

#include "base/size.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

const std::string kDense = BundledModel("austen-dense-q4_0.gguf");
constexpr uint64_t kBudget = 6 * kMiB;

EngineRun Advice(const std::map<std::string, std::string>& environment) {
  return RunDumper({HEADRACE_HOST_SCENARIOS, "advice", "--model", kDense}, environment);
}

TEST(MappingAdvice, IsReadAheadByOneOfBoth) {
  const EngineRun stock = Advice({});
  EXPECT_EQ(stock.child.out, "reads ahead\n");
  const EngineRun streams = Advice(StreamingEnvironment(kBudget, false));
  EXPECT_TRUE(SameBytes(stock, streams));
  EXPECT_EQ(streams.child.out, "does not read ahead\n");
  auto fits = StreamingEnvironment(64 * kMiB, false);
  fits["HEADRACE_FLASH_MODE"] = "auto";
  EXPECT_EQ(Advice(fits).child.out, "reads ahead\n");
}

TEST(MappingAdvice, OfAFileThatCannotBeOpened) {
  const EngineRun cannot =
      Advice(WithChangedCalls(StreamingEnvironment(kBudget, false), "LIBRARY_OPENS_NO_MODEL", "1"));
  EXPECT_TRUE(SameBytes(Advice({}), cannot));
  EXPECT_EQ(cannot.child.out, "reads ahead\n");
  EXPECT_EQ(Lines(cannot.child.err, "austen-dense-q4_0.gguf: cannot open: Permission denied").size(), 1u)
      << cannot.child.Describe();
  EXPECT_EQ(Lines(cannot.child.err).size(), 1u) << cannot.child.Describe();
}

// Kernels that give other bits in pieces: such weights are computed whole, from the mapping.
TEST(MappingAdvice, OfWeightsWhoseKernelsAreNotTrusted) {
  auto environment = StreamingEnvironment(kBudget, false);
  environment["LD_PRELOAD"]
      .append(" ")
      .append(HEADRACE_UNTRUSTED_KERNELS)
      .append(" ")
      .append(HEADRACE_ENGINE_LIB "/libggml-base.so.0");
  EXPECT_EQ(Advice(environment).child.out, "does not read ahead\n") << "the kernels are the engine's";
  environment["PIECES_DIFFER"] = "q4_0";
  const EngineRun run = Advice(environment);
  EXPECT_TRUE(SameBytes(Advice({}), run));
  EXPECT_EQ(run.child.out, "reads ahead in part\n") << "what no product uses may stay as it was";
  EXPECT_EQ(Lines(run.child.err, "this llama.cpp multiplies q4_0 differently in pieces than whole").size(), 1u)
      << run.child.Describe();
  EXPECT_EQ(Lines(run.child.err).size(), 1u) << run.child.Describe();
}

TEST(MappingAdvice, OfExpertsThatAreNoPlainStack) {
  const std::vector<std::string> scenario = {HEADRACE_GRAPH_SCENARIOS, "experts", "--model",
                                             BundledModel("austen-moe-q4_0.gguf")};
  const EngineRun stock = RunDumper(scenario, {}), run = RunDumper(scenario, StreamingEnvironment(kBudget, false));
  EXPECT_TRUE(SameBytes(stock, run));
  EXPECT_EQ(stock.child.out, "reads ahead\nreads ahead\n");
  EXPECT_EQ(run.child.out, "does not read ahead\nreads ahead in part\n");
  EXPECT_EQ(run.child.err, "");
}

}  // namespace
}  // namespace headrace::testing
