// The budget in a real memory cgroup: a model several times larger than the limit runs in it, and its memory
// stays below. Needs root and a memory controller.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "base/descriptor.h"
#include "base/size.h"
#include "engine_run.h"
#include "memory/memory_group_test.h"
#include "models.h"

namespace headrace::testing {
namespace {

// Some 630 MiB of random weights, from the benchmarks' generator.
ModelFile MidSizeModel() {
  const std::string path = std::string(HEADRACE_TEST_CACHE) + "/mid-size.gguf";
  if (FileBytes(path) > 0) return {path, ""};
  if (access(HEADRACE_MAKE_MODEL, X_OK) != 0) return {"", "headrace-make-model is not built (HEADRACE_BENCH)"};
  const ChildResult run = RunChild({HEADRACE_MAKE_MODEL, "--preset", "mid", "--quiet", "--force", path});
  if (!run.Ok()) return {"", run.Describe()};
  return {path, ""};
}

// Pages cached for the whole system would be charged elsewhere and hide what the run itself needs.
void DropPageCache(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  fdatasync(file.get());
  posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
}

class Memory : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Slow, Memory, ::testing::Bool(),
                         [](const auto& kernels) { return kernels.param ? "repack" : "plain"; });

TEST_P(Memory, ModelLargerThanTheLimit) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to make a memory cgroup";
  const ModelFile model = MidSizeModel();
  ASSERT_FALSE(model.path.empty()) << model.error;
  Work work;
  work.model = model.path;
  work.prompts = {1, 64};
  work.repack = GetParam();
  const EngineRun stock = RunStock(work);
  const uint64_t budget = FileBytes(model.path) / 4;
  // Beside the weights: the engine's code, KV cache and compute buffers, and the pages of the file that the
  // engine touches itself (the embedding's rows, norms).
  const uint64_t limit = budget + 150 * kMiB;
  ASSERT_LT(limit, FileBytes(model.path) * 2 / 3) << "the model is too small to prove anything";

  MemoryGroup group(limit);
  if (!group.usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
  DropPageCache(model.path);
  const EngineRun run = RunStreamed(work, budget, {}, group.procs());
  EXPECT_TRUE(SameBytes(stock, run));
  EXPECT_TRUE(ReallyStreamed(run, budget, work.Passes()));
  EXPECT_LT(group.Peak(), limit) << "the limit was reached: reclaim held the run up";
  RecordProperty("peak_bytes", std::to_string(group.Peak()));

  // The limit is a real one: stock's copies of the weights do not fit in it.
  Work copies = work;
  copies.repack = true;
  const EngineRun killed = RunStock(copies, group.procs());
  EXPECT_EQ(killed.child.signal, SIGKILL) << killed.child.Describe();
}

}  // namespace
}  // namespace headrace::testing
