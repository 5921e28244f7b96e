// The llama.cpp that people have: releases of two years, prebuilt in the npm package node-llama-cpp, with headrace preloaded
// into Node.js. scripts/install-node-packages.sh puts them side by side.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <ostream>

#include "dump.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

constexpr uint64_t kBudget = 6u << 20;
// The model writes 24 tokens.
constexpr uint64_t kPasses = 20;

struct Release {
  const char* version;             // of the npm package
  const char* llama;               // what it brings
  bool knows_qwen3 = true;
  bool repacks_experts = true;     // else stock llama.cpp ends with a failed assertion (llama.cpp's issue 11476)
};
std::ostream& operator<<(std::ostream& out, const Release& release) { return out << release.llama; }

constexpr Release kReleases[] = {{"3.22.1", "v0.5.0"}, {"3.18.1", "b8390"}, {"3.14.2", "b6845"}, {"3.6.0", "b4753", false, false}};

class NodeEngines : public ::testing::TestWithParam<Release> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(RunChild({"node", "-e", "0"}).Ok()) << "Node.js is not installed";
    folder_ = std::string(HEADRACE_NODE_FOLDER) + "/llama-" + GetParam().version;
    if (!std::filesystem::exists(folder_ + "/installed")) GTEST_SKIP() << "no " << folder_ << ": run scripts/install-node-packages.sh";
  }

  EngineRun Run(const std::string& model, std::map<std::string, std::string> environment) {
    const std::string snapshot = WorkDirectory() + "/node.snapshot";
    unlink(snapshot.c_str());
    if (environment.count("HEADRACE_FLASH_MODE") > 0) environment["HEADRACE_SNAPSHOT"] = snapshot;
    ChildOptions options;
    options.environment = std::move(environment);
    EngineRun run;
    run.child = RunChild({"node", std::string(HEADRACE_ENGINE_TESTS) + "/node_engine.mjs", folder_, model, "1"}, options);
    if (auto view = SnapshotView::Open(snapshot); view.ok()) run.snapshot.emplace(std::move(view).value());
    return run;
  }
  EngineRun RunPlainStock(const std::string& model) { return Run(model, {{"LD_PRELOAD", HEADRACE_PLAIN_KERNELS}}); }

  // The same text as `stock`, really streamed, and without a word.
  void Expect(const EngineRun& stock, const EngineRun& run) {
    ASSERT_TRUE(stock.child.Ok()) << stock.child.Describe();
    ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
    EXPECT_NE(stock.child.out.find(GetParam().llama), std::string::npos) << stock.child.out;
    EXPECT_GT(stock.child.out.size(), 60u) << stock.child.out;
    EXPECT_EQ(run.child.out, stock.child.out);
    EXPECT_TRUE(ReallyStreamed(run, kBudget, kPasses));
    EXPECT_EQ(Lines(run.child.err, "headrace: ").size(), 0u) << run.child.err;
  }

  std::string folder_;
};

TEST_P(NodeEngines, DenseWithPlainKernels) {
  const std::string model = BundledModel("austen-dense-q4_0.gguf");
  const EngineRun run = Run(model, StreamingEnvironment(kBudget, false));
  Expect(RunPlainStock(model), run);
}

TEST_P(NodeEngines, DenseWithRepackedKernels) {
  const std::string model = BundledModel("austen-dense-q4_0.gguf");
  const EngineRun run = Run(model, StreamingEnvironment(kBudget, true));
  Expect(Run(model, {}), run);
  if (run.snapshot) {
    EXPECT_EQ((*run.snapshot)->kernels.load(), Snapshot::kRepack);
  }
}

TEST_P(NodeEngines, Mixture) {
  std::string model = BundledModel("austen-moe-q4_0.gguf");
  if (!GetParam().knows_qwen3) {
    const std::string older = WorkDirectory() + "/older.gguf";
    const ChildResult made = RunChild({"python3", std::string(HEADRACE_ENGINE_TESTS) + "/older_mixture.py", model, older});
    ASSERT_TRUE(made.Ok()) << made.Describe();
    model = older;
  }
  Expect(RunPlainStock(model), Run(model, StreamingEnvironment(kBudget, false)));
  const EngineRun repacked = Run(model, StreamingEnvironment(kBudget, true));
  if (GetParam().repacks_experts) {
    Expect(Run(model, {}), repacked);
  } else {
    // Nothing to compare with: stock cannot. Experts stay in the file's layout.
    EXPECT_TRUE(repacked.child.Ok()) << repacked.child.Describe();
    EXPECT_TRUE(ReallyStreamed(repacked, kBudget, kPasses));
  }
}

TEST_P(NodeEngines, KvCacheInAFile) {
  const std::string model = BundledModel("austen-dense-q4_0.gguf");
  auto environment = StreamingEnvironment(kBudget, false);
  environment["HEADRACE_KV_DIR"] = WorkDirectory();
  environment["HEADRACE_KV_RAM"] = "524288";
  const EngineRun run = Run(model, environment);
  Expect(RunPlainStock(model), run);
  if (run.snapshot) {
    EXPECT_GT((*run.snapshot)->kv_bytes_written.load(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Releases, NodeEngines, ::testing::ValuesIn(kReleases), [](const auto& info) {
  std::string name = info.param.llama;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

}  // namespace
}  // namespace headrace::testing
