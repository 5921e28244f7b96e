// What goes wrong while weights stream makes llama_decode fail with one line, and never gives a wrong output:
// budgets that are too small or not understood, read errors, files that change.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/size.h"
#include "dump.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

namespace fs = std::filesystem;

const std::string kDense = BundledModel("austen-dense-q4_0.gguf");
constexpr uint64_t kBudget = 5 * kMiB;

// A copy of the model that a test may damage.
std::string CopyOfModel(const std::string& name) {
  const std::string path = WorkDirectory() + "/" + name + ".gguf";
  fs::copy_file(kDense, path, fs::copy_options::overwrite_existing);
  return path;
}

// The rounds scenario: four prompts, the model file damaged (or not) before the second.
EngineRun Rounds(const std::string& model, const std::string& change, std::map<std::string, std::string> environment) {
  return RunDumper({HEADRACE_HOST_SCENARIOS, "rounds", "--model", model, "--change", change}, std::move(environment),
                   std::chrono::seconds(60));
}

EngineRun Faulty(const std::string& fault, std::map<std::string, std::string> more = {}) {
  auto environment = StreamingEnvironment(kBudget, false);
  environment["HEADRACE_FAULT"] = fault;
  environment.merge(more);
  return Rounds(kDense, "none", environment);
}

size_t Rounds(const EngineRun& run, const std::string& code) { return Lines(run.child.out, " code " + code).size(); }

// The process lived, said one line for each different failure, and every output that it got is stock's.
void ExpectNoWrongOutput(const EngineRun& run) {
  EXPECT_TRUE(run.child.Ok()) << run.child.Describe();
  EXPECT_EQ(Lines(run.child.out, "round ").size(), 4u) << run.child.Describe();
  const EngineRun stock = Rounds(kDense, "none", {});
  EXPECT_EQ(DumpNotWithin(stock.dump, run.dump), "") << run.child.Describe();
}

// Every failed call has one line of headrace's, which names the file.
void ExpectOneLineEach(const EngineRun& run, const std::string& file) {
  const size_t failed = 4 - Rounds(run, "0");
  EXPECT_EQ(Lines(run.child.err, "headrace: ").size(), failed) << run.child.Describe();
  EXPECT_EQ(Lines(run.child.err, file).size(), failed) << "not every line names the file\n" << run.child.Describe();
}

class Faults : public ::testing::TestWithParam<const char*> {
 protected:
  std::map<std::string, std::string> Reader() { return {{"HEADRACE_READER", GetParam()}}; }
};
INSTANTIATE_TEST_SUITE_P(Readers, Faults, ::testing::Values("uring", "pread", "buffered"),
                         [](const auto& reader) { return std::string(reader.param); });

TEST_P(Faults, DiskThatFailsForEver) {
  const EngineRun run = Faulty("after=100,errno=EIO", Reader());
  ExpectNoWrongOutput(run);
  EXPECT_GE(4 - Rounds(run, "0"), 2u) << "the passes after the fault must fail\n" << run.child.Describe();
  ExpectOneLineEach(run, "austen-dense-q4_0.gguf");
  ASSERT_TRUE(run.snapshot);
  EXPECT_EQ((*run.snapshot)->errors.load(), 4 - Rounds(run, "0"));
  EXPECT_GE((*run.snapshot)->reads_failed.load(), 1u);
  EXPECT_FALSE(run.snapshot->alive());
}

TEST_P(Faults, DiskThatFailsFromTheStart) {
  const EngineRun run = Faulty("errno=EIO", Reader());
  ExpectNoWrongOutput(run);
  EXPECT_EQ(Rounds(run, "0"), 0u) << run.child.Describe();
  EXPECT_EQ(run.dump, "");
  ExpectOneLineEach(run, "austen-dense-q4_0.gguf");
}

// One bad read is tried again: nobody notices, but the counters say so.
TEST_P(Faults, OneBadRead) {
  const EngineRun run = Faulty("after=20,times=1,errno=EIO", Reader());
  ExpectNoWrongOutput(run);
  EXPECT_EQ(Rounds(run, "0"), 4u) << run.child.Describe();
  ASSERT_TRUE(run.snapshot);
  EXPECT_GE((*run.snapshot)->reads_retried.load(), 1u);
}

// A bad spot of the disk: whoever needs it fails, and goes on failing.
TEST_P(Faults, BadSpot) {
  const EngineRun run = Faulty("range=6M-6200K,errno=EIO", Reader());
  ExpectNoWrongOutput(run);
  EXPECT_EQ(Rounds(run, "0"), 0u) << run.child.Describe();
}

TEST_P(Faults, ShortAndSlowAndReorderedReads) {
  for (const char* fault : {"short=8K", "delay_us=2000", "reorder=1", "short=4K,reorder=1,delay_us=100"}) {
    SCOPED_TRACE(fault);
    const EngineRun run = Faulty(fault, Reader());
    ExpectNoWrongOutput(run);
    EXPECT_EQ(Rounds(run, "0"), 4u) << run.child.Describe();
    EXPECT_EQ(run.child.err, "");
  }
}

// The same of a mixture of experts: reads into the cache fail as those into the ring do.
TEST_P(Faults, BadSpotAmongExperts) {
  const std::string model = BundledModel("austen-moe-q4_0.gguf");
  const EngineRun stock = Rounds(model, "none", {});
  for (const char* fault :
       {"range=6M-6200K,errno=EIO", "after=60,errno=EIO", "after=40,times=1,errno=EIO", "short=4K,reorder=1"}) {
    SCOPED_TRACE(fault);
    auto environment = StreamingEnvironment(kBudget, false);
    environment["HEADRACE_FAULT"] = fault;
    environment.merge(Reader());
    const EngineRun run = Rounds(model, "none", environment);
    EXPECT_TRUE(run.child.Ok()) << run.child.Describe();
    EXPECT_EQ(DumpNotWithin(stock.dump, run.dump), "") << run.child.Describe();
    ExpectOneLineEach(run, "austen-moe-q4_0.gguf");
    const bool recovers =
        std::string(fault).find("times") != std::string::npos || std::string(fault).find("EIO") == std::string::npos;
    EXPECT_EQ(Rounds(run, "0") == 4, recovers) << run.child.Describe();
  }
}

// A file system that allows O_DIRECT when the file is opened and refuses it later: slower, with one line, and right.
TEST(OneFault, DirectReadsThatAreRefusedLater) {
  for (const char* after : {"0", "50"}) {
    const EngineRun run = Faulty(std::string("direct=1,errno=EINVAL,after=") + after, {{"HEADRACE_READER", "uring"}});
    ExpectNoWrongOutput(run);
    EXPECT_EQ(Rounds(run, "0"), 4u) << run.child.Describe();
    EXPECT_EQ(Lines(run.child.err, "headrace: ").size(), 1u) << run.child.Describe();
    EXPECT_EQ(Lines(run.child.err, "O_DIRECT").size(), 1u) << run.child.Describe();
  }
}

// Layers that keep a state in place (no KV cache): a pass that fails between two of them leaves all as they were, and
// the same token can be tried again.
TEST(OneFault, APassThatFailedLeavesRecurrentStatesAsTheyWere) {
  std::string error;
  std::string model;
  for (const std::string& path : ArchitectureModels(&error))
    model = path.ends_with("/mamba2-dense.gguf") ? path : model;
  ASSERT_NE(model, "") << error;
  const std::vector<std::string> scenario = {
      HEADRACE_HOST_SCENARIOS, "retry", "--model", model, "--prompt", "7", "--decode", "6"};
  const EngineRun stock = RunDumper(scenario, {});
  auto environment = StreamingEnvironment(256 * kMiB, false);
  const EngineRun resident = RunDumper(scenario, environment);
  ASSERT_TRUE(resident.snapshot) << resident.child.Describe();
  environment = StreamingEnvironment((*resident.snapshot)->weight_bytes / 2, false);
  const EngineRun whole = RunDumper(scenario, environment);
  EXPECT_TRUE(SameBytes(stock, whole));
  ASSERT_TRUE(whole.snapshot) << whole.child.Describe();
  size_t failed = 0;
  for (int after = 2; after < 60; after += 3) {
    environment["HEADRACE_FAULT"] = "errno=EIO,times=3,after=" + std::to_string(after);
    const EngineRun run = RunDumper(scenario, environment);
    failed += Lines(run.child.out, "code -3").size();
    EXPECT_TRUE(SameBytes(stock, run)) << "after " << after;
  }
  EXPECT_GE(failed, 5u) << "hardly a read has failed";
}

TEST(Changes, TruncatedFile) {
  const EngineRun run = Rounds(CopyOfModel("truncated"), "truncate", StreamingEnvironment(kBudget, false));
  ExpectNoWrongOutput(run);
  EXPECT_EQ(Rounds(run, "0"), 1u) << run.child.Describe();
  ExpectOneLineEach(run, "truncated.gguf");
}

TEST(Changes, OverwrittenFile) {
  const EngineRun run = Rounds(CopyOfModel("overwritten"), "overwrite", StreamingEnvironment(kBudget, false));
  ExpectNoWrongOutput(run);
  EXPECT_EQ(Rounds(run, "0"), 1u) << run.child.Describe();
  ExpectOneLineEach(run, "overwritten.gguf");
}

// The old bytes stay readable through the open file: no error, right outputs.
TEST(Changes, DeletedAndReplacedFiles) {
  for (const char* change : {"delete", "replace"}) {
    SCOPED_TRACE(change);
    const EngineRun run = Rounds(CopyOfModel(change), change, StreamingEnvironment(kBudget, false));
    ExpectNoWrongOutput(run);
    EXPECT_EQ(Rounds(run, "0"), 4u) << run.child.Describe();
    EXPECT_EQ(run.child.err, "");
    EXPECT_TRUE(ReallyStreamed(run, kBudget, 5));
  }
}

// Around the smallest budget that works: right outputs at it, a clean error just below and far below.
TEST(Budgets, TooSmallFailsCleanly) {
  for (const bool repack : {false, true}) {
    Work work;
    work.model = kDense;
    work.prompts = {7, 64};
    work.repack = repack;
    const EngineRun stock = RunStock(work);
    const uint64_t floor = FloorBudget(work);
    ASSERT_GT(floor, 128 * kKiB);
    EXPECT_LT(floor, FileBytes(kDense) / 2) << "the floor is too high for the bundled model";
    EXPECT_TRUE(SameBytes(stock, RunStreamed(work, floor)));
    for (const uint64_t budget : {floor - 64 * kKiB, floor / 2, 64 * kKiB, uint64_t{1}}) {
      SCOPED_TRACE(::testing::Message() << "budget " << budget << " of " << floor << (repack ? ", repack" : ", plain"));
      const EngineRun run = RunStreamed(work, budget);
      EXPECT_TRUE(FailedCleanly(stock, run));
      EXPECT_EQ(Lines(run.child.err, "headrace: ").size(), 1u) << run.child.Describe();
    }
  }
}

// What is not understood is said in one line that names it, and nothing streams: stock's outputs, or none.
TEST(Budgets, NotANumber) {
  Work work;
  work.model = kDense;
  work.prompts = {7};
  const EngineRun stock = RunStock(work);
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"HEADRACE_WEIGHTS_RAM", "lots"}, {"HEADRACE_WEIGHTS_RAM", "-1"},
      {"HEADRACE_WEIGHTS_RAM", "0"},    {"HEADRACE_WEIGHTS_RAM", "99999999999999999999"},
      {"HEADRACE_FLASH_MODE", "maybe"}, {"HEADRACE_KERNELS", "fast"},
      {"HEADRACE_READER", "tape"}};
  for (const auto& [name, value] : wrong) {
    SCOPED_TRACE(name + "=" + value);
    const EngineRun run = RunStreamed(work, kBudget, {{name, value}});
    EXPECT_EQ(run.child.signal, 0) << run.child.Describe();
    EXPECT_FALSE(run.child.timed_out);
    EXPECT_TRUE(run.dump.empty() || run.dump == stock.dump) << run.child.Describe();
    EXPECT_EQ(Lines(run.child.err, "headrace: ").size(), 1u) << run.child.Describe();
    EXPECT_GE(Lines(run.child.err, name).size(), 1u) << run.child.Describe();
  }
}

TEST(Budgets, SnapshotThatCannotBeWritten) {
  Work work;
  work.model = kDense;
  work.prompts = {7};
  const EngineRun run = RunStreamed(work, kBudget, {{"HEADRACE_SNAPSHOT", "/nonexistent/folder/snapshot"}});
  EXPECT_TRUE(SameBytes(RunStock(work), run));
  EXPECT_EQ(Lines(run.child.err, "/nonexistent/folder/snapshot").size(), 1u) << run.child.Describe();
}

}  // namespace
}  // namespace headrace::testing
