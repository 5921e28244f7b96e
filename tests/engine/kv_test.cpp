// A KV cache that is larger than the memory meant for it lives in a file: the same bits as in memory, within that
// memory, whatever the host does with it.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <csignal>
#include <memory>

#include "base/size.h"
#include "dump.h"
#include "engine_run.h"
#include "memory/memory_group_test.h"
#include "models.h"

namespace headrace::testing {
namespace {

const std::string kDense = BundledModel("austen-dense-q4_0.gguf");
const std::string kDraft = BundledModel("austen-draft-f16.gguf");
const std::string kExperts = BundledModel("austen-moe-q4_0.gguf");

std::map<std::string, std::string> KvEnvironment(uint64_t ram_bytes) {
  return {{"LD_PRELOAD", LibraryPath()},
          {"HEADRACE_KV_DIR", WorkDirectory()},
          {"HEADRACE_KV_RAM", std::to_string(ram_bytes)},
          {"HEADRACE_DEBUG", "1"}};
}

// The most that a pass left in memory of the files; 0 when no pass had to page.
uint64_t MostCached(const EngineRun& run) {
  uint64_t most = 0;
  for (const std::string& line : Lines(run.child.err, "bytes in memory")) {
    most = std::max<uint64_t>(most, strtoull(line.c_str() + line.find(": ", line.find("KV cache")) + 2, nullptr, 10));
  }
  return most;
}

// The KV cache was in a file, more of it was used than the memory holds, and it was read again in most passes.
::testing::AssertionResult ReallyPaged(const EngineRun& run, uint64_t ram_bytes) {
  if (!run.snapshot) return ::testing::AssertionFailure() << "no telemetry snapshot\n" << run.child.Describe();
  const Snapshot& s = **run.snapshot;
  const uint64_t cached = MostCached(run);
  const bool paged =
      s.kv_ram_bytes == ram_bytes && s.kv_bytes_read > ram_bytes && cached > ram_bytes / 4 && cached <= ram_bytes;
  if (paged && s.last_error[0] == '\0') return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "memory " << s.kv_ram_bytes << ", at most " << cached << " cached, "
                                       << s.kv_bytes_read << " read, " << s.kv_bytes_written << " written, error '"
                                       << s.last_error << "'";
}

class KvCache : public ::testing::Test {
 protected:
  // Runs the scenario with the cache in memory and in a file.
  EngineRun Compare(std::vector<std::string> scenario, uint64_t ram_bytes,
                    std::map<std::string, std::string> more = {}) {
    const EngineRun stock = RunDumper(scenario, {});
    auto environment = KvEnvironment(ram_bytes);
    environment.merge(more);
    EngineRun run = RunDumper(scenario, environment);
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_TRUE(ReallyPaged(run, ram_bytes));
    return run;
  }
  std::vector<std::string> Scenario(const std::string& name, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {HEADRACE_KV_SCENARIOS, name, "--model", kDense});
    return more;
  }
};

using SlowKvCache = KvCache;

// 6 MiB of keys and values: 6 layers of 1024 cells of 512 elements of 2 bytes.
constexpr uint64_t kRam = 2 * kMiB;

// The part that 804 tokens use is more than four times the memory.
TEST_F(KvCache, FourTimesItsMemoryEqualsOneInMemory) {
  constexpr uint64_t kUsedBytes = (800 + 4) * 6 * 1024, kQuarter = kMiB;
  static_assert(kUsedBytes > 4 * kQuarter);
  const EngineRun run = Compare(Scenario("prompt"), kQuarter);
  ASSERT_TRUE(run.snapshot);
  EXPECT_EQ((*run.snapshot)->kv_bytes_written.load(), kUsedBytes);
  EXPECT_EQ((*run.snapshot)->kv_file_bytes.load(), 0u) << "not given back at the end";
}

TEST_F(SlowKvCache, OfWhichHalfStays) { Compare(Scenario("prompt"), 3 * kMiB); }

TEST_F(SlowKvCache, OfOtherTypes) {
  Compare(Scenario("prompt", {"--cache-type", "q8_0"}), 1 * kMiB);
  Compare(Scenario("prompt", {"--cache-type", "f32"}), 2 * kRam);
}

TEST_F(SlowKvCache, WithTransposedValues) { Compare(Scenario("prompt", {"--flash-attention", "0"}), kRam); }

TEST_F(SlowKvCache, OfSeveralSequences) {
  const std::vector<std::string> three = {"--sequences", "3", "--batch", "64", "--prompt", "256"};
  Compare(Scenario("prompt", three), kRam);
  auto apart = three;
  apart.insert(apart.end(), {"--unified", "0", "--context", "1536"});
  Compare(Scenario("copy", apart), kRam);
}

TEST_F(SlowKvCache, ClearedAndFilledAgain) { Compare(Scenario("prompt", {"--rounds", "2"}), kRam); }

TEST_F(SlowKvCache, AfterAContextShift) {
  Compare(Scenario("shift"), kRam);
  Compare(Scenario("shift", {"--cache-type", "q8_0"}), 1 * kMiB);
}

TEST_F(SlowKvCache, SavedAndRestored) {
  Compare(Scenario("state"), kRam);
  Compare(Scenario("state", {"--flash-attention", "0"}), kRam);
}

// A prompt that was saved by one run is there for the next, whichever of them had its KV cache in memory.
TEST_F(KvCache, SavedForAnotherRun) {
  const std::string state = WorkDirectory() + "/prompt.state";
  auto environment = KvEnvironment(kRam);
  environment.merge(StreamingEnvironment(5 * kMiB, false));
  const auto save = Scenario("save", {"--state", state}), load = Scenario("load", {"--state", state});
  ASSERT_TRUE(RunDumper(save, {}).child.Ok());
  const std::string saved = ReadWholeFile(state);
  const EngineRun stock = RunDumper(load, {});
  EXPECT_TRUE(SameBytes(stock, RunDumper(load, environment)));
  unlink(state.c_str());
  EXPECT_TRUE(ReallyPaged(RunDumper(save, environment), kRam));
  EXPECT_TRUE(ReadWholeFile(state) == saved) << "the file differs from stock's";
  EXPECT_TRUE(SameBytes(stock, RunDumper(load, {})));
}

TEST_F(KvCache, WhileWeightsStream) {
  auto streaming = StreamingEnvironment(5 * kMiB, false);
  const EngineRun run = Compare(Scenario("prompt"), kRam, streaming);
  EXPECT_TRUE(ReallyStreamed(run, 5 * kMiB, 8));
}

// Whoever frees or clears another cache in a pass waits for nothing.
TEST_F(KvCache, FreedAndClearedWhileAnotherIsUsed) {
  for (const char* how : {"callback", "thread"}) {
    SCOPED_TRACE(how);
    const auto scenario = Scenario("others", {"--how", how, "--prompt", "400"});
    Compare(scenario, kRam);
    const EngineRun run = Compare(scenario, kRam, StreamingEnvironment(5 * kMiB, false));
    EXPECT_EQ((*run.snapshot)->kv_file_bytes.load(), 0u);
  }
}

TEST_F(SlowKvCache, WhileExpertsStream) {
  Compare({HEADRACE_KV_SCENARIOS, "prompt", "--model", kExperts}, 1 * kMiB, StreamingEnvironment(5 * kMiB, false));
}

// Target and draft, two contexts, threads: 3 MiB of keys and values of the larger context of 512 cells.
TEST_F(SlowKvCache, OfSeveralContexts) {
  for (const char* scenario : {"alternate", "parallel"}) {
    SCOPED_TRACE(scenario);
    Compare({HEADRACE_HOST_SCENARIOS, scenario, "--model", kDense, "--second", kDraft, "--prompt", "400"}, 1536 * kKiB);
    Compare({HEADRACE_HOST_SCENARIOS, scenario, "--model", kDense, "--prompt", "400"}, 1 * kMiB);
  }
}

TEST_F(SlowKvCache, UnderTheHostsOwnCallbacks) {
  for (const char* nodes : {"all", "some"}) {
    SCOPED_TRACE(nodes);
    Compare({HEADRACE_HOST_SCENARIOS, "callback", "--model", kDense, "--prompt", "400", "--nodes", nodes}, 1 * kMiB);
  }
  Compare({HEADRACE_HOST_SCENARIOS, "abort", "--model", kDense, "--prompt", "400"}, 1 * kMiB);
}

TEST_F(SlowKvCache, LoadedAndUnloaded) {
  Compare({HEADRACE_HOST_SCENARIOS, "reload", "--model", kDense, "--second", kDraft, "--prompt", "400"}, 1 * kMiB);
}

// What fits is left to the engine: no file, no thread, nothing said.
TEST_F(KvCache, ThatFitsStaysInMemory) {
  auto environment = KvEnvironment(7 * kMiB);
  environment.erase("HEADRACE_DEBUG");
  const EngineRun stock = RunDumper(Scenario("prompt"), {}), run = RunDumper(Scenario("prompt"), environment);
  EXPECT_TRUE(SameBytes(stock, run));
  EXPECT_EQ(run.child.err, stock.child.err);
  ASSERT_TRUE(run.snapshot);
  EXPECT_EQ((*run.snapshot)->kv_bytes_written.load(), 0u);
}

// 72 MiB of keys and values with less than a quarter of it as memory, in a group whose limit stock exceeds.
TEST_F(SlowKvCache, FourTimesItsMemoryInAMemoryGroup) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to make a memory cgroup";
  const auto scenario = Scenario("prompt", {"--cache-type", "f32", "--unified", "0", "--sequences", "8", "--batch",
                                            "64", "--context", "6144", "--prompt", "760"});
  constexpr uint64_t kCacheBytes = 6144ull * 6 * 2048, kQuarter = 16 * kMiB;
  static_assert(kCacheBytes > 4 * kQuarter);
  const auto in = [&](const MemoryGroup& group, std::map<std::string, std::string> environment) {
    return RunDumper(scenario, std::move(environment), std::chrono::seconds(120), group.procs());
  };
  auto group = std::make_unique<MemoryGroup>(kGiB);
  if (!group->usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
  const EngineRun stock = in(*group, {});
  const uint64_t limit = group->Peak() - kCacheBytes + kQuarter + 8 * kMiB;

  group.reset();
  group = std::make_unique<MemoryGroup>(limit);
  const EngineRun run = in(*group, KvEnvironment(kQuarter));
  EXPECT_TRUE(SameBytes(stock, run));
  EXPECT_TRUE(ReallyPaged(run, kQuarter));
  EXPECT_LT(group->Peak(), limit) << "the limit was reached: reclaim held the run up";
  EXPECT_EQ(group->Kills(), 0u);
  RecordProperty("peak_bytes", std::to_string(group->Peak()));

  // The limit is a real one.
  const EngineRun killed = in(*group, {});
  EXPECT_EQ(killed.child.signal, SIGKILL) << killed.child.Describe();
  EXPECT_GE(group->Kills(), 1u);
}

}  // namespace
}  // namespace headrace::testing
