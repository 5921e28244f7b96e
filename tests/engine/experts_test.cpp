// Mixtures of experts: the outputs are stock's bits, whatever the cache holds, with plain and with repacked kernels.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <tuple>

#include "base/size.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

const std::string kExperts = BundledModel("austen-moe-q4_0.gguf");

Work ExpertWork(bool repack) {
  Work work;
  work.model = kExperts;
  work.repack = repack;
  return work;
}

class Experts : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Kernels, Experts, ::testing::Bool(),
                         [](const auto& kernels) { return kernels.param ? "repack" : "plain"; });

TEST_P(Experts, EqualStock) {
  for (const int threads : {1, 2, 3}) {
    Work work = ExpertWork(GetParam());
    work.threads = threads;
    const EngineRun stock = RunStock(work);
    for (const uint64_t budget : {FileBytes(kExperts) / 12, FileBytes(kExperts) / 3, 8 * FileBytes(kExperts)}) {
      const EngineRun run = RunStreamed(work, budget);
      EXPECT_TRUE(SameBytes(stock, run)) << "budget " << budget << ", threads " << threads;
      EXPECT_TRUE(ReallyManaged(run, budget, work.Passes()));
    }
  }
}

// All types that the shapes allow, budgets from the smallest that works (no cache: experts stream as their router
// chooses them) to everything, and enough tokens for the cache to give experts up.
class ExpertTypes : public ::testing::TestWithParam<std::tuple<const char*, bool>> {};
INSTANTIATE_TEST_SUITE_P(Types, ExpertTypes,
                         ::testing::Combine(::testing::Values("", "Q8_0", "Q4_K_S", "MXFP4_MOE", "F16"),
                                            ::testing::Bool()),
                         [](const auto& test) {
                           const std::string type = std::get<0>(test.param);
                           return (type.empty() ? "bundled" : type) + (std::get<1>(test.param) ? "_repack" : "_plain");
                         });

TEST_P(ExpertTypes, EqualStock) {
  const auto [type, repack] = GetParam();
  Work work = ExpertWork(repack);
  work.decode = 24;
  if (*type != '\0') {
    const ModelFile file = QuantizedModel(kExperts, type);
    ASSERT_NE(file.path, "") << file.error;
    work.model = file.path;
  }
  const EngineRun stock = RunStock(work);
  const uint64_t floor = FloorBudget(work), file = FileBytes(work.model);
  ASSERT_GT(floor, 0u);
  bool gave_up = false, no_cache = false;
  for (const uint64_t budget :
       std::set<uint64_t>{floor, std::max(floor, file / 4), file / 3, file / 2, file * 3 / 4, 2 * file + 64 * kMiB}) {
    SCOPED_TRACE(::testing::Message() << "budget " << budget);
    const EngineRun run = RunStreamed(work, budget);
    EXPECT_TRUE(SameBytes(stock, run));
    ASSERT_TRUE(ReallyManaged(run, budget, work.Passes()));
    const Snapshot& s = **run.snapshot;
    EXPECT_GT(s.expert_bytes, file / 2);
    EXPECT_LE(s.expert_resident_bytes, s.expert_cache_bytes);
    EXPECT_LE(s.expert_hits, s.experts_chosen);
    gave_up |= s.expert_hits > 0 && s.expert_bytes_read > 2 * s.expert_cache_bytes;
    no_cache |= s.experts_chosen == 0;
    EXPECT_TRUE(budget < 2 * file || s.expert_bytes_read <= s.expert_bytes + s.expert_bytes / 4)
        << "read more than once";
  }
  EXPECT_TRUE(gave_up) << "no budget made the cache give experts up";
  EXPECT_TRUE(no_cache) << "no budget was too small for a cache";
}

// The widths between decode and a prompt: several tokens from the cache, more than it holds, in waves.
TEST_P(Experts, EveryNarrowBatchEqualsStock) {
  Work work = ExpertWork(GetParam());
  work.prompts = {2, 3, 5, 7, 8, 9, 16, 33};
  const EngineRun stock = RunStock(work);
  for (const uint64_t budget : {FileBytes(kExperts) / 4, FileBytes(kExperts) / 2}) {
    const EngineRun run = RunStreamed(work, budget);
    EXPECT_TRUE(SameBytes(stock, run)) << "budget " << budget;
    EXPECT_TRUE(ReallyStreamed(run, budget, work.Passes()));
  }
}

// A prompt in many passes reads each expert at most once for each, and leaves what decode uses in the cache.
TEST_P(Experts, APromptReadsWhatItNeedsOnceForEachPass) {
  Work work = ExpertWork(GetParam());
  work.prompts = {512};
  work.decode = 0;
  work.ubatch = 64;
  const uint64_t budget = FileBytes(kExperts) / 2;
  const EngineRun run = RunStreamed(work, budget);
  EXPECT_TRUE(SameBytes(RunStock(work), run));
  ASSERT_TRUE(ReallyManaged(run, budget, work.Passes()));
  const Snapshot& s = **run.snapshot;
  EXPECT_GT(s.expert_resident_bytes, s.expert_cache_bytes / 2) << "the prompt left the cache empty";
  EXPECT_EQ(s.experts_chosen, 0u);
  // Whole pages are read, and at the end the ring is full of the next pass.
  EXPECT_LE(s.bytes_read, work.Passes() * s.weight_bytes * 5 / 4 + s.ring_bytes);
}

// Stock's two layouts give different bits: the cases above would notice if one stood for the other.
TEST(ExpertKernels, DifferInStock) {
  EXPECT_NE(RunStock(ExpertWork(false)).dump, RunStock(ExpertWork(true)).dump) << "this CPU has no repacked kernel";
}

// By default narrow batches use plain and wide ones repacked kernels: what the cache holds does not change that.
// The default chooses by what it measures, which can be another choice in another process.
TEST(ExpertKernels, RepackedOnesGiveTheSameBitsWithEveryBudget) {
  Work work = ExpertWork(false);
  work.prompts = {64, 1, 600, 7};
  const std::map<std::string, std::string> repacked = {{"HEADRACE_KERNELS", "repack"}};
  const EngineRun first = RunStreamed(work, FileBytes(kExperts) / 2, repacked);
  for (const uint64_t part : {1, 3}) {
    EXPECT_TRUE(SameBytes(first, RunStreamed(work, part * FileBytes(kExperts) / 4, repacked))) << part << " quarters";
  }
  EXPECT_NE(first.dump, RunStreamed(work, FileBytes(kExperts) / 2).dump) << "nothing was repacked";
}

// The next layer's router, applied to what this one sees, mostly chooses as it does in its turn.
TEST(ExpertForesight, IsMostlyRightAndChangesNoBit) {
  Work work = ExpertWork(false);
  work.decode = 40;
  const uint64_t budget = FileBytes(kExperts) / 2;
  const EngineRun stock = RunStock(work);
  for (const bool on : {false, true}) {
    const EngineRun run = RunStreamed(work, budget, {{"HEADRACE_LOOK_AHEAD", on ? "1" : "0"}, {"HEADRACE_DEBUG", "1"}});
    EXPECT_TRUE(SameBytes(stock, run));
    uint64_t right = 0, foreseen = 0;
    const std::regex line("read; ([0-9]+) of ([0-9]+) foreseen");
    for (std::sregex_iterator it(run.child.err.begin(), run.child.err.end(), line); it != std::sregex_iterator();
         ++it) {
      right += std::stoul((*it)[1]);
      foreseen += std::stoul((*it)[2]);
    }
    if (!on) {
      EXPECT_EQ(foreseen, 0u);
      continue;
    }
    EXPECT_GT(foreseen, 500u) << run.child.Describe();
    EXPECT_GT(right, foreseen / 2);
  }
}

TEST(ExpertKernels, EvalCallbackSeesEqualProducts) {
  const std::vector<std::string> scenario = {
      HEADRACE_HOST_SCENARIOS, "callback", "--model", kExperts, "--nodes", "products"};
  const EngineRun stock = RunDumper(scenario, {});
  const EngineRun run = RunDumper(scenario, StreamingEnvironment(FileBytes(kExperts) / 12, false));
  EXPECT_TRUE(SameBytes(stock, run));
  EXPECT_EQ(stock.child.out, run.child.out);
  EXPECT_TRUE(ReallyManaged(run, FileBytes(kExperts) / 12, 5));
}

}  // namespace
}  // namespace headrace::testing
