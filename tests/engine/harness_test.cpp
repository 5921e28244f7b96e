// The tests of this folder must be able to fail: each thing that they rest on is shown to notice.
#include <gtest/gtest.h>

#include "dump.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

Work DenseWork() {
  Work work;
  work.model = BundledModel("austen-dense-q4_0.gguf");
  work.prompts = {7, 64};
  return work;
}

EngineRun Succeeded(std::string dump) {
  EngineRun run;
  run.child.exit_code = 0;
  run.dump = std::move(dump);
  return run;
}

TEST(Harness, StockIsDeterministic) { EXPECT_TRUE(SameBytes(RunStock(DenseWork()), RunStock(DenseWork()))); }

TEST(Harness, NoticesOneFlippedBit) {
  const EngineRun stock = RunStock(DenseWork());
  ASSERT_GT(stock.dump.size(), 1000u);
  for (const size_t at : {size_t{3}, size_t{kLabelBytes + 1}, stock.dump.size() / 2, stock.dump.size() - 1}) {
    std::string damaged = stock.dump;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_FALSE(SameBytes(stock, Succeeded(damaged))) << "bit at " << at;
    EXPECT_NE(DumpNotWithin(stock.dump, damaged), "") << "bit at " << at;
  }
}

TEST(Harness, NoticesMissingAndAddedBytes) {
  const EngineRun stock = RunStock(DenseWork());
  EXPECT_FALSE(SameBytes(stock, Succeeded(stock.dump.substr(0, stock.dump.size() - 4))));
  EXPECT_FALSE(SameBytes(stock, Succeeded(stock.dump + stock.dump)));
  EXPECT_FALSE(SameBytes(stock, Succeeded("")));
  EXPECT_FALSE(SameBytes(Succeeded(""), Succeeded("")));
}

// The dumps are fine enough to tell the plain layout's rounding from the repacked one's.
TEST(Harness, TellsPlainFromRepackedKernels) {
  Work plain = DenseWork();
  Work repack = DenseWork();
  repack.repack = true;
  const EngineRun a = RunStock(plain), b = RunStock(repack);
  ASSERT_TRUE(a.child.Ok() && b.child.Ok());
  EXPECT_FALSE(SameBytes(a, b)) << "this CPU has no repacked kernel for Q4_0: the repack tests prove nothing here";
}

TEST(Harness, TellsModelsApart) {
  Work other = DenseWork();
  other.model = BundledModel("austen-moe-q4_0.gguf");
  EXPECT_FALSE(SameBytes(RunStock(DenseWork()), RunStock(other)));
}

TEST(Harness, StockRunsDoNotCountAsStreamed) {
  const EngineRun stock = RunStock(DenseWork());
  EXPECT_FALSE(ReallyStreamed(stock, 1u << 20, 1));
  EXPECT_FALSE(ReallyManaged(stock, 1u << 20, 1));
}

TEST(Harness, NoticesHowChildrenEnd) {
  ChildOptions options;
  options.timeout = std::chrono::seconds(1);
  EXPECT_TRUE(RunChild({"true"}).Ok());
  EXPECT_EQ(RunChild({"false"}).exit_code, 1);
  EXPECT_EQ(RunChild({"sh", "-c", "kill -SEGV $$"}).signal, SIGSEGV);
  EXPECT_TRUE(RunChild({"sleep", "30"}, options).timed_out);
  EXPECT_EQ(RunChild({"/nonexistent/program"}).exit_code, 127);
  const ChildResult folders = RunChild({"sh", "-c", "echo $XDG_CACHE_HOME; echo $XDG_CONFIG_HOME"});
  EXPECT_EQ(Lines(folders.out, WorkDirectory() + "/").size(), 2u)
      << "a test keeps nothing in the user's folders: " << folders.Describe();
  const ChildResult talks = RunChild({"sh", "-c", "echo out; echo err >&2"});
  EXPECT_EQ(talks.out, "out\n");
  EXPECT_EQ(talks.err, "err\n");
}

TEST(Harness, MissingModelIsAnError) {
  Work work = DenseWork();
  work.model = "/nonexistent.gguf";
  const EngineRun run = RunStock(work);
  EXPECT_EQ(run.child.exit_code, 1);
  EXPECT_FALSE(SameBytes(run, run));
}

}  // namespace
}  // namespace headrace::testing
