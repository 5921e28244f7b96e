// Rows of tables that are looked up by token: a model whose second table, with embeddings for each layer, is most of
// its file. Every logit is stock's, and the counters prove that the rows came through the reader.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "base/size.h"
#include "dump.h"
#include "engine_run.h"
#include "memory/memory_group_test.h"
#include "models.h"

namespace headrace::testing {
namespace {

constexpr uint64_t kTables = 2;  // of tokens, and of layers
// The second one begins behind the first: 32768 rows of 272 bytes, and a header.
constexpr const char* kAllOfTheTable = "range=10M-42M";

// A generated model with tables of 32768 rows.
ModelFile TableModel(int layers) {
  const std::string path = std::string(HEADRACE_TEST_CACHE) + "/rows-" + std::to_string(layers) + ".gguf";
  if (FileBytes(path) > 0) return {path, ""};
  if (access(HEADRACE_MAKE_MODEL, X_OK) != 0) return {"", "headrace-make-model is not built (HEADRACE_BENCH)"};
  const std::string part = path + "." + std::to_string(getpid());
  const ChildResult run = RunChild({HEADRACE_MAKE_MODEL, "--preset", "rows-tiny", "--type", "q8_0", "--layers",
                                    std::to_string(layers), "--quiet", "--force", part});
  if (!run.Ok()) return {"", run.Describe()};
  return rename(part.c_str(), path.c_str()) == 0 ? ModelFile{path, ""} : ModelFile{"", "cannot rename " + part};
}

class Tables : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const ModelFile model = TableModel(4);
    ASSERT_NE(model.path, "") << model.error;
    work_.model = model.path;
    work_.repack = GetParam();
    work_.prompts = {1, 7, 64, 130};
    work_.decode = 3;
  }
  uint64_t Tokens() const {
    return static_cast<uint64_t>(std::accumulate(work_.prompts.begin(), work_.prompts.end(), 0)) +
           work_.prompts.size() * static_cast<uint64_t>(work_.decode);
  }
  // What the scenario says and dumps is stock's.
  EngineRun Compare(std::vector<std::string> scenario, uint64_t budget) {
    scenario.insert(scenario.begin(), HEADRACE_HOST_SCENARIOS);
    scenario.insert(scenario.end(), {"--model", work_.model, "--repack", GetParam() ? "1" : "0"});
    const EngineRun stock = RunDumper(scenario, {});
    EngineRun run = RunDumper(scenario, StreamingEnvironment(budget, GetParam()));
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_EQ(run.child.out, stock.child.out);
    EXPECT_TRUE(ReallyManaged(run, budget, 2));
    return run;
  }
  EngineRun Faulty(const std::string& fault) { return RunStreamed(work_, 6 * kMiB, {{"HEADRACE_FAULT", fault}}); }

  Work work_;
};

INSTANTIATE_TEST_SUITE_P(Kernels, Tables, ::testing::Bool(),
                         [](const auto& kernels) { return kernels.param ? "repack" : "plain"; });

// Narrow passes are computed within the engine's graph, wide ones between its pieces; with the smallest budget a
// prompt's rows do not fit at once.
TEST_P(Tables, EqualStockAndComeThroughTheReader) {
  const EngineRun stock = RunStock(work_);
  for (const uint64_t budget : {3 * kMiB, 12 * kMiB, 200 * kMiB}) {
    SCOPED_TRACE(budget);
    const EngineRun run = RunStreamed(work_, budget);
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_TRUE(ReallyManaged(run, budget, work_.Passes()));
    ASSERT_TRUE(run.snapshot);
    const Snapshot& s = **run.snapshot;
    EXPECT_EQ(s.rows_looked_up, kTables * Tokens());
    EXPECT_GT(s.row_memory_bytes, 0u);
    EXPECT_LE(s.row_memory_bytes, budget / 32);
    EXPECT_LT(s.row_hits, s.rows_looked_up / 2) << "most tokens are random ones";
    // Every row that was absent is in some page that was read, and at most four are read for one.
    EXPECT_GE(s.row_bytes_read, (s.rows_looked_up - s.row_hits) / kTables * 4 * 272);
    EXPECT_LE(s.row_bytes_read, (s.rows_looked_up - s.row_hits) * 4 * kReadAlignment);
    EXPECT_GE(s.bytes_read, s.row_bytes_read + s.resident_bytes);
  }
}

// The same token again and again: its rows are in memory.
TEST_P(Tables, RowsThatComeAgainAreHits) {
  work_.prompts = {1};
  work_.decode = 40;
  const EngineRun run = RunStreamed(work_, 64 * kMiB);
  EXPECT_TRUE(SameBytes(RunStock(work_), run));
  ASSERT_TRUE(run.snapshot);
  const Snapshot& s = **run.snapshot;
  const EngineRun once = [&] {
    work_.prompts = {1, 1};  // the second time the same tokens
    return RunStreamed(work_, 64 * kMiB);
  }();
  ASSERT_TRUE(once.snapshot);
  EXPECT_EQ((*once.snapshot)->row_bytes_read, s.row_bytes_read) << "all of the second round was in memory";
  EXPECT_EQ((*once.snapshot)->row_hits, s.row_hits + kTables * 41);
}

// At the floor there is no memory for rows: the mapping serves.
TEST_P(Tables, AtTheFloorTheMappingServes) {
  const uint64_t floor = FloorBudget(work_);
  ASSERT_GT(floor, 0u);
  const EngineRun run = RunStreamed(work_, floor);
  EXPECT_TRUE(SameBytes(RunStock(work_), run));
  ASSERT_TRUE(run.snapshot);
  EXPECT_EQ((*run.snapshot)->row_bytes_read, 0u);
  EXPECT_EQ((*run.snapshot)->row_memory_bytes, 0u);
}

TEST_P(Tables, BesideAnEvalCallback) {
  for (const char* nodes : {"all", "some", "products", "none"}) {
    SCOPED_TRACE(nodes);
    const EngineRun run = Compare({"callback", "--nodes", nodes, "--decode", "2"}, 6 * kMiB);
    ASSERT_TRUE(run.snapshot);
    EXPECT_GT((*run.snapshot)->rows_looked_up, 0u);
  }
}

TEST_P(Tables, AnAbortedPassAndTwoContexts) {
  Compare({"abort"}, 6 * kMiB);
  Compare({"alternate"}, 6 * kMiB);
  Compare({"parallel"}, 6 * kMiB);
}

TEST_P(Tables, AModelBesideThatGoes) {
  const std::string other = BundledModel("austen-dense-q4_0.gguf");
  Compare({"alternate", "--second", other}, 8 * kMiB);
  const std::vector<std::string> scenario = {
      HEADRACE_HOST_SCENARIOS, "reload", "--model", work_.model, "--second", other, "--repack", GetParam() ? "1" : "0"};
  EXPECT_TRUE(SameBytes(RunDumper(scenario, {}), RunDumper(scenario, StreamingEnvironment(8 * kMiB, GetParam()))));
}

TEST_P(Tables, TheBudgetChanges) {
  const std::vector<std::string> scenario = {HEADRACE_HOST_SCENARIOS,
                                             "resize",
                                             "--model",
                                             work_.model,
                                             "--repack",
                                             GetParam() ? "1" : "0",
                                             "--least",
                                             "2048",
                                             "--most",
                                             "16384",
                                             "--prompt",
                                             "30"};
  const EngineRun run = RunDumper(scenario, StreamingEnvironment(16 * kMiB, GetParam()));
  EXPECT_TRUE(SameBytes(RunDumper(scenario, {}), run));
  ASSERT_TRUE(run.snapshot);
  EXPECT_GT((*run.snapshot)->row_bytes_read, 0u);
}

// A bad spot that only rows are read from: were they read through the mapping nobody would notice.
TEST_P(Tables, AReadThatFailsFailsThePass) {
  const EngineRun stock = RunStock(work_);
  for (const char* when : {"", ",after=20", ",after=100"}) {
    const EngineRun run = Faulty(std::string(kAllOfTheTable) + ",errno=EIO" + when);
    EXPECT_TRUE(FailedCleanly(stock, run)) << when;
    EXPECT_EQ(Lines(run.child.err, "rows-4.gguf").size(), 1u) << run.child.Describe();
    ASSERT_TRUE(run.snapshot);
    EXPECT_GE((*run.snapshot)->reads_failed, 1u);
  }
}

TEST_P(Tables, SlowShortAndReorderedReads) {
  const EngineRun stock = RunStock(work_);
  for (const char* fault :
       {"short=4K", "reorder=1", "range=10M-42M,delay_us=1000", "range=10M-42M,times=1,errno=EIO"}) {
    SCOPED_TRACE(fault);
    EXPECT_TRUE(SameBytes(stock, Faulty(fault)));
  }
}

// Reads that fail for a while: the pass fails, and the same tokens computed again are right.
TEST_P(Tables, APassThatFailedCanBeTriedAgain) {
  const std::vector<std::string> scenario = {HEADRACE_HOST_SCENARIOS, "retry",    "--model", work_.model, "--repack",
                                             GetParam() ? "1" : "0",  "--prompt", "7",       "--decode",  "6"};
  const EngineRun stock = RunDumper(scenario, {});
  size_t failed = 0;
  // Each read is tried three times, and what could not be foreseen is read again. The prompt's rows are seven reads,
  // each token's after it one.
  for (int after = 0; after < 12; ++after) {
    auto environment = StreamingEnvironment(6 * kMiB, GetParam());
    environment["HEADRACE_FAULT"] = std::string(kAllOfTheTable) + ",errno=EIO,times=6,after=" + std::to_string(after);
    const EngineRun run = RunDumper(scenario, environment);
    failed += Lines(run.child.out, "code -3").size();
    EXPECT_TRUE(SameBytes(stock, run)) << "after " << after;
  }
  EXPECT_GE(failed, 1u) << "no pass has failed";
}

TEST_P(Tables, AChangedFileFailsThePass) {
  for (const char* change : {"truncate", "overwrite"}) {
    const std::string path = WorkDirectory() + "/changed.gguf";
    ASSERT_TRUE(RunChild({"cp", work_.model, path}).Ok());
    const EngineRun stock =
        RunDumper({HEADRACE_HOST_SCENARIOS, "rounds", "--model", work_.model, "--change", "none"}, {});
    const EngineRun run = RunDumper({HEADRACE_HOST_SCENARIOS, "rounds", "--model", path, "--change", change},
                                    StreamingEnvironment(6 * kMiB, false));
    EXPECT_TRUE(run.child.Ok()) << run.child.Describe();
    EXPECT_EQ(Lines(run.child.out, " code 0").size(), 1u) << run.child.Describe();
    EXPECT_EQ(DumpNotWithin(stock.dump, run.dump), "") << change;
  }
}

// A table of positions beside that of tokens.
TEST_P(Tables, OfPositions) {
  std::string error;
  work_.model.clear();
  for (const std::string& path : ArchitectureModels(&error))
    work_.model = path.ends_with("/gpt2-dense.gguf") ? path : work_.model;
  ASSERT_NE(work_.model, "") << error;
  work_.prompts = {1, 33};
  const EngineRun run = RunStreamed(work_, 64 * kMiB);
  EXPECT_TRUE(SameBytes(RunStock(work_), run));
  ASSERT_TRUE(run.snapshot);
  EXPECT_EQ((*run.snapshot)->rows_looked_up, 2 * Tokens());
  EXPECT_GT((*run.snapshot)->row_bytes_read, 0u);
}

class TablesInAGroup : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Slow, TablesInAGroup, ::testing::Bool(),
                         [](const auto& kernels) { return kernels.param ? "repack" : "plain"; });

// A table larger than the memory of the process.
TEST_P(TablesInAGroup, TableLargerThanTheLimit) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to make a memory cgroup";
  const ModelFile model = TableModel(64);
  ASSERT_NE(model.path, "") << model.error;
  Work work;
  work.model = model.path;
  work.repack = GetParam();
  work.prompts = {1, 64};
  work.decode = 20;
  work.ubatch = 64;  // the engine reserves logits of so many tokens
  const uint64_t budget = 24 * kMiB, limit = 370 * kMiB;
  ASSERT_LT(limit, FileBytes(model.path) * 2 / 3) << "the model is too small to prove anything";
  MemoryGroup group(limit);
  if (!group.usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
  const EngineRun run = RunStreamed(work, budget, {}, group.procs());
  EXPECT_TRUE(SameBytes(RunStock(work), run));
  EXPECT_TRUE(ReallyStreamed(run, budget, work.Passes()));
  EXPECT_LT(group.Peak(), limit) << "the limit was reached: reclaim held the run up";
  ASSERT_TRUE(run.snapshot);
  EXPECT_EQ((*run.snapshot)->rows_looked_up, kTables * (1 + 64 + 2 * 20));
}

}  // namespace
}  // namespace headrace::testing
