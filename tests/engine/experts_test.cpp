// Mixtures of experts. With plain kernels the outputs are stock's bits. With repacked ones the experts may be
// left to the mapping, in the plain layout, where stock repacks them: then the outputs may differ from
// stock --repack 1 by no more than stock's own two layouts differ.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

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
