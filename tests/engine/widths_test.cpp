// The width of passes: what counts as one, and which kernels it gets by default.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "engine_run.h"
#include "models.h"
#include "telemetry/width_sums.h"

namespace headrace::testing {
namespace {

const std::string kDense = BundledModel("austen-dense-q4_0.gguf");
const std::string kExperts = BundledModel("austen-moe-q4_0.gguf");
const std::string kDraft = BundledModel("austen-draft-f16.gguf");

EngineRun RunWith(std::vector<std::string> scenario, uint64_t budget, const std::string& kernels) {
  scenario.insert(scenario.begin(), HEADRACE_HOST_SCENARIOS);
  auto environment = StreamingEnvironment(budget, false);
  environment["HEADRACE_KERNELS"] = kernels;
  environment["HEADRACE_DEBUG"] = "1";
  return RunDumper(scenario, environment);
}

// 6 tokens of the target, and 12 of the draft between them. Passes that fill memory count nowhere: each model's prompt,
// and the first one of the target after the draft has taken some of its memory.
TEST(Widths, ADraftsPassesAreNotItsTargets) {
  const EngineRun run =
      RunWith({"alternate", "--model", kDense, "--second", kDraft, "--decode", "6"}, 9u << 20, "plain");
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  ASSERT_TRUE(run.snapshot);
  const Snapshot& s = **run.snapshot;
  EXPECT_EQ(s.passes, 2u + 6 + 12);
  EXPECT_GE(s.widths[0].passes, 5u);
  EXPECT_LE(s.widths[0].passes, 6u);
  EXPECT_EQ(s.widths[0].tokens, s.widths[0].passes);
  EXPECT_GE(s.draft_passes, 11u);
  EXPECT_LE(s.draft_passes, 12u);
  EXPECT_GT(s.draft_ns, 0u);
  for (size_t i = 1; i < s.widths.size(); ++i) EXPECT_EQ(s.widths[i].passes, 0u) << kWidthLimits[i];
}

// Nobody can learn what tokens take from the first ones, which fill the experts' cache. With room for all experts those
// that no token chose stay free.
TEST(Widths, PassesThatFillTheExpertsCacheDoNotCount) {
  const EngineRun run =
      RunWith({"rounds", "--model", kExperts, "--prompt", "1", "--rounds", "1", "--decode", "30"}, 30u << 20, "plain");
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  ASSERT_TRUE(run.snapshot);
  const uint64_t all = Lines(run.child.err, "experts were in memory").size(),
                 reading_none = Lines(run.child.err, "experts were in memory, 0 B read").size();
  EXPECT_GT(all, reading_none + 3) << run.child.err;
  EXPECT_GT(reading_none, 3u) << run.child.err;
  EXPECT_EQ((**run.snapshot).widths[0].passes, reading_none) << run.child.err;
}

// The tokens of several sequences that the engine decodes together are one pass.
TEST(Widths, SequencesOfABatchShareItsPasses) {
  const EngineRun run =
      RunWith({"rounds", "--model", kDense, "--sequences", "6", "--prompt", "5", "--rounds", "3", "--decode", "4"},
              6u << 20, "plain");
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  ASSERT_TRUE(run.snapshot);
  const Snapshot& s = **run.snapshot;
  EXPECT_EQ(s.passes, 3u * (1 + 4));
  EXPECT_EQ(s.tokens, 6u * 3 * (5 + 4));
  const Snapshot::WidthSums& six = s.widths[WidthIndex(6)];
  EXPECT_EQ(six.passes, 3u * 4);
  EXPECT_EQ(six.tokens, 6u * 3 * 4);
  EXPECT_LE(s.bytes_read, s.resident_bytes + 16 * s.streamed_bytes_per_pass)
      << "each pass reads once, and one is read ahead";
}

// Whoever learns from the times of these passes must know when others slowed them down.
TEST(Widths, WhatOtherProgramsTookIsCounted) {
  if (!std::ifstream("/proc/self/schedstat")) GTEST_SKIP() << "this kernel does not count how long threads wait";
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (unsigned i = 0; i < 4 * std::thread::hardware_concurrency(); ++i) {
    others.emplace_back([&] {
      while (!stop) {
      }
    });
  }
  const EngineRun run =
      RunWith({"rounds", "--model", kDense, "--prompt", "5", "--rounds", "3", "--decode", "20"}, 6u << 20, "plain");
  stop = true;
  for (std::thread& other : others) other.join();
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  ASSERT_TRUE(run.snapshot);
  const Snapshot& s = **run.snapshot;
  uint64_t passes_ns = 0;
  for (const Snapshot::WidthSums& sums : s.widths) passes_ns += sums.ns;
  EXPECT_GT(s.disturbed_ns, passes_ns / 10);
  EXPECT_LE(s.disturbed_ns, passes_ns);
}

// What a type's kernels cost is measured once, and decides for the whole run: the same tokens give the same bits.
TEST(Widths, KernelsAreChosenOnce) {
  for (const char* prompt : {"3", "12", "100"}) {
    const EngineRun run =
        RunWith({"rounds", "--model", kDense, "--prompt", prompt, "--rounds", "3", "--decode", "3"}, 6u << 20, "auto");
    ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
    EXPECT_TRUE(ReallyStreamed(run, 6u << 20, 12));
    EXPECT_EQ(Lines(run.child.err, "headrace: q4_0: streamed rows are repacked").size(), 1u) << run.child.err;
    const size_t third = run.dump.size() / 3;
    ASSERT_GT(third, 0u);
    EXPECT_TRUE(run.dump.substr(0, third) == run.dump.substr(third, third)) << prompt;
    EXPECT_TRUE(run.dump.substr(0, third) == run.dump.substr(2 * third)) << prompt;
  }
}

// Repacking is what streamed rows cost beside their products: moves take a fraction of the engine's time for it. The
// types whose layouts only move bits are found with any engine that has them.
class Repacking : public ::testing::TestWithParam<const char*> {};

TEST_P(Repacking, IsMoves) {
  const ModelFile model = QuantizedModel(kDraft, GetParam());
  ASSERT_FALSE(model.path.empty()) << model.error;
  const EngineRun run = RunWith({"rounds", "--model", model.path, "--prompt", "12"}, 2u << 20, "repack");
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  const size_t layouts = Lines(run.child.err, "numbers: repacked by").size();
  if (layouts == 0) GTEST_SKIP() << "this processor has no repacked kernels for " << GetParam() << ", or larger ones";
  EXPECT_EQ(Lines(run.child.err, "numbers: repacked by moves").size(), layouts) << run.child.err;
}

INSTANTIATE_TEST_SUITE_P(Types, Repacking, ::testing::Values("Q4_0", "Q4_K_S", "IQ4_NL"),
                         [](const auto& type) { return std::string(type.param); });

}  // namespace
}  // namespace headrace::testing
