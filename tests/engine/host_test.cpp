// Host programs that do more than one prompt after another: mixtures of experts, two models and contexts,
// threads, unloading, callbacks of their own.
#include <gtest/gtest.h>

#include <cstdio>

#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

const std::string kDense = BundledModel("austen-dense-q4_0.gguf");
const std::string kDraft = BundledModel("austen-draft-f16.gguf");
const std::string kExperts = BundledModel("austen-moe-q4_0.gguf");

class Hosts : public ::testing::TestWithParam<bool> {
 protected:
  bool Repack() const { return GetParam(); }

  // Runs a scenario of at least that many passes stock and streamed, and compares. Returns what the streamed
  // child printed.
  std::string Compare(std::vector<std::string> scenario, uint64_t budget, uint64_t passes = 5) {
    scenario.insert(scenario.begin(), HEADRACE_HOST_SCENARIOS);
    scenario.insert(scenario.end(), {"--repack", Repack() ? "1" : "0"});
    const EngineRun stock = RunDumper(scenario, {});
    const EngineRun run = RunDumper(scenario, StreamingEnvironment(budget, Repack()));
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_EQ(stock.child.out, run.child.out);
    EXPECT_EQ(run.child.err, stock.child.err) << "a healthy run says nothing";
    EXPECT_TRUE(ReallyStreamed(run, budget, passes));
    return run.child.out;
  }
};

INSTANTIATE_TEST_SUITE_P(Kernels, Hosts, ::testing::Bool(),
                         [](const auto& kernels) { return kernels.param ? "repack" : "plain"; });

TEST_P(Hosts, TargetAndDraftInTurn) { Compare({"alternate", "--model", kDense, "--second", kDraft}, 9u << 20); }

TEST_P(Hosts, TargetAndDraftInThreads) { Compare({"parallel", "--model", kDense, "--second", kDraft}, 9u << 20); }

TEST_P(Hosts, DenseAndExpertsInTurn) { Compare({"alternate", "--model", kExperts, "--second", kDense}, 12u << 20); }

TEST_P(Hosts, TwoContextsInTurn) { Compare({"alternate", "--model", kDense}, 6u << 20); }

TEST_P(Hosts, TwoContextsInThreads) { Compare({"parallel", "--model", kDense}, 6u << 20); }

TEST_P(Hosts, UnloadAndReload) { Compare({"reload", "--model", kDense, "--second", kDraft}, 5u << 20); }

// Descriptors, threads, mappings and memory are after 100 models what they were after ten.
TEST_P(Hosts, LoadsAndUnloadsLeaveNothingBehind) {
  const EngineRun run = RunDumper({HEADRACE_HOST_SCENARIOS, "cycles", "--model", Repack() ? kExperts : kDense,
                                   "--rounds", "100", "--decode", "2", "--repack", Repack() ? "1" : "0"},
                                  StreamingEnvironment(6u << 20, Repack()));
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  struct Holdings {
    int round = 0, descriptors = 0, threads = 0, mappings = 0;
    long kib = 0;
  };
  std::vector<Holdings> rounds;
  for (const std::string& line : Lines(run.child.out)) {
    Holdings& now = rounds.emplace_back();
    ASSERT_EQ(std::sscanf(line.c_str(), "round %d: %d descriptors, %d threads, %d mappings, %ld KiB", &now.round,
                          &now.descriptors, &now.threads, &now.mappings, &now.kib),
              5)
        << line;
  }
  ASSERT_EQ(rounds.size(), 100u);
  EXPECT_EQ(rounds[99].descriptors, rounds[9].descriptors);
  EXPECT_EQ(rounds[99].threads, rounds[9].threads);
  EXPECT_LE(rounds[99].mappings, rounds[9].mappings + 2) << "of the C library's arenas";
  EXPECT_LE(rounds[99].kib, rounds[9].kib + 512);
}

TEST_P(Hosts, EvalCallbackThatWantsEverything) {
  const std::string said = Compare({"callback", "--model", kDense, "--nodes", "all", "--decode", "2"}, 6u << 20, 3);
  EXPECT_EQ(Lines(said, "asked 0").size(), 0u) << said;
}

TEST_P(Hosts, EvalCallbackThatWantsSome) { Compare({"callback", "--model", kDense, "--nodes", "some"}, 6u << 20); }

TEST_P(Hosts, EvalCallbackThatWantsProducts) {
  Compare({"callback", "--model", kDense, "--nodes", "products"}, 6u << 20);
}

TEST_P(Hosts, EvalCallbackThatWantsNothing) { Compare({"callback", "--model", kDense, "--nodes", "none"}, 6u << 20); }

// llama_decode returns 2, and the next prompts are right.
TEST_P(Hosts, AbortCallback) {
  const std::string said = Compare({"abort", "--model", kDense}, 6u << 20);
  EXPECT_EQ(Lines(said, "code 2").size(), 1u) << said;
}

// Nothing is known of the engine's kernels yet: what a stopped product has left teaches nothing.
TEST_P(Hosts, AbortCallbackInTheFirstPass) {
  const std::string said = Compare({"abort", "--at", "0", "--model", kDense}, 6u << 20);
  EXPECT_EQ(Lines(said, "code 2").size(), 1u) << said;
}

// A draft in memory reads nothing: what was read ahead for its target's next pass stays.
TEST_P(Hosts, ADraftInMemoryLeavesTheReadAheadOfItsTarget) {
  const EngineRun run = RunDumper({HEADRACE_HOST_SCENARIOS, "alternate", "--model", kDense, "--second", kDraft,
                                   "--decode", "30", "--repack", Repack() ? "1" : "0"},
                                  StreamingEnvironment(16u << 20, Repack()));
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  ASSERT_TRUE(run.snapshot);
  const Snapshot& now = **run.snapshot;
  ASSERT_GT(now.streamed_bytes_per_pass, 0u);
  // Half of the passes at most are the target's, and each of them reads what streams once.
  EXPECT_LT(now.bytes_read, now.passes / 2 * now.streamed_bytes_per_pass)
      << now.passes << " passes, ring " << now.ring_bytes;
}

// A budget that holds everything: the library computes from resident weights alone.
TEST_P(Hosts, EverythingResidentInThreads) {
  std::vector<std::string> scenario = {
      HEADRACE_HOST_SCENARIOS, "parallel", "--model", kDense, "--second", kDraft, "--repack", Repack() ? "1" : "0"};
  const EngineRun stock = RunDumper(scenario, {});
  const EngineRun run = RunDumper(scenario, StreamingEnvironment(256u << 20, Repack()));
  EXPECT_TRUE(SameBytes(stock, run));
  EXPECT_TRUE(ReallyManaged(run, 256u << 20, 5));
}

}  // namespace
}  // namespace headrace::testing
