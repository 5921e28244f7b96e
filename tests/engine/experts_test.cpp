// Mixtures of experts. With plain kernels the outputs are stock's bits, whatever the cache holds. With repacked
// ones experts stay in the plain layout, where stock repacks them: then the outputs may differ from stock
// --repack 1 by no more than stock's own two layouts differ.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "base/size.h"
#include "dump.h"
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

// The root of the mean squared difference of all floats of two dumps with the same records.
double Distance(const std::string& a, const std::string& b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  uint64_t floats = 0;
  for (size_t at = 0; at + kLabelBytes + 8 <= std::min(a.size(), b.size());) {
    EXPECT_EQ(a.compare(at, kLabelBytes + 8, b, at, kLabelBytes + 8), 0) << "records differ";
    uint64_t count = 0;
    std::memcpy(&count, a.data() + at + kLabelBytes, sizeof count);
    at += kLabelBytes + 8;
    for (uint64_t i = 0; i < count && at + 4 <= std::min(a.size(), b.size()); ++i, at += 4, ++floats) {
      float x = 0, y = 0;
      std::memcpy(&x, a.data() + at, 4);
      std::memcpy(&y, b.data() + at, 4);
      sum += (static_cast<double>(x) - y) * (static_cast<double>(x) - y);
    }
  }
  return std::sqrt(sum / static_cast<double>(std::max<uint64_t>(floats, 1)));
}

TEST(Experts, PlainEqualsStock) {
  for (const int threads : {1, 2, 3}) {
    Work work = ExpertWork(false);
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
class ExpertTypes : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Types, ExpertTypes, ::testing::Values("", "Q8_0", "Q4_K_S", "MXFP4_MOE", "F16"),
                         [](const auto& type) { return std::string(*type.param == '\0' ? "bundled" : type.param); });

TEST_P(ExpertTypes, EqualStock) {
  Work work = ExpertWork(false);
  work.decode = 24;
  if (*GetParam() != '\0') {
    const ModelFile file = QuantizedModel(kExperts, GetParam());
    ASSERT_NE(file.path, "") << file.error;
    work.model = file.path;
  }
  const EngineRun stock = RunStock(work);
  const uint64_t floor = FloorBudget(work), file = FileBytes(work.model);
  ASSERT_GT(floor, 0u);
  bool gave_up = false, no_cache = false;
  for (const uint64_t budget : std::set<uint64_t>{floor, std::max(floor, file / 4), file / 3, file / 2, file * 3 / 4, 2 * file + 64 * kMiB}) {
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
    EXPECT_TRUE(budget < 2 * file || s.expert_bytes_read <= s.expert_bytes + s.expert_bytes / 4) << "read more than once";
  }
  EXPECT_TRUE(gave_up) << "no budget made the cache give experts up";
  EXPECT_TRUE(no_cache) << "no budget was too small for a cache";
}

// The widths between decode and a prompt: several tokens from the cache, more than it holds, in waves.
TEST(Experts, EveryNarrowBatchEqualsStock) {
  Work work = ExpertWork(false);
  work.prompts = {2, 3, 5, 7, 8, 9, 16, 33};
  const EngineRun stock = RunStock(work);
  for (const uint64_t budget : {FileBytes(kExperts) / 4, FileBytes(kExperts) / 2}) {
    const EngineRun run = RunStreamed(work, budget);
    EXPECT_TRUE(SameBytes(stock, run)) << "budget " << budget;
    EXPECT_TRUE(ReallyStreamed(run, budget, work.Passes()));
  }
}

// A prompt in many passes reads each expert at most once for each, and leaves what decode uses in the cache.
TEST(Experts, APromptReadsWhatItNeedsOnceForEachPass) {
  Work work = ExpertWork(false);
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

TEST(Experts, RepackedIsAsCloseAsStockToItself) {
  // No greedy steps: after the first different token the rest is another text.
  Work plain = ExpertWork(false), repack = ExpertWork(true);
  plain.decode = repack.decode = 0;
  const EngineRun stock_plain = RunStock(plain), stock = RunStock(repack);
  const EngineRun run = RunStreamed(repack, FileBytes(kExperts) / 3);
  ASSERT_TRUE(stock.child.Ok() && stock_plain.child.Ok() && run.child.Ok()) << run.child.Describe();
  const double between_layouts = Distance(stock.dump, stock_plain.dump);
  EXPECT_GT(between_layouts, 0.0) << "this CPU has no repacked kernel";
  EXPECT_LE(Distance(stock.dump, run.dump), between_layouts);
  EXPECT_TRUE(ReallyManaged(run, FileBytes(kExperts) / 3, repack.Passes()));
}

TEST(Experts, EvalCallbackSeesEqualProducts) {
  const std::vector<std::string> scenario = {HEADRACE_HOST_SCENARIOS, "callback", "--model", kExperts, "--nodes", "products"};
  const EngineRun stock = RunDumper(scenario, {});
  const EngineRun run = RunDumper(scenario, StreamingEnvironment(FileBytes(kExperts) / 12, false));
  EXPECT_TRUE(SameBytes(stock, run));
  EXPECT_EQ(stock.child.out, run.child.out);
  EXPECT_TRUE(ReallyManaged(run, FileBytes(kExperts) / 12, 5));
}

}  // namespace
}  // namespace headrace::testing
