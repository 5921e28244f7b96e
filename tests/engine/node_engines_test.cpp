// The llama.cpp that people have: releases of two years, prebuilt in the npm package node-llama-cpp, with headrace
// preloaded into Node.js. scripts/install-node-packages.sh puts them side by side.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
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
  const char* version;  // of the npm package
  const char* llama;    // what it brings
  bool knows_qwen3 = true;
  bool repacks_experts = true;  // else stock llama.cpp ends with a failed assertion (llama.cpp's issue 11476)
};
std::ostream& operator<<(std::ostream& out, const Release& release) { return out << release.llama; }

constexpr Release kReleases[] = {
    {"3.22.1", "v0.5.0"}, {"3.18.1", "b8390"}, {"3.14.2", "b6845"}, {"3.6.0", "b4753", false, false}};

// Where the installation script has put a release; skips the test when it has not.
std::string FolderOf(const Release& release) {
  return std::string(HEADRACE_NODE_FOLDER "/llama-").append(release.version);
}
#define HEADRACE_NEEDS(release)                                                             \
  ASSERT_TRUE(RunChild({"node", "-e", "0"}).Ok()) << "Node.js is not installed";            \
  if (!std::filesystem::exists(FolderOf(release) + "/installed")) {                         \
    GTEST_SKIP() << "no " << FolderOf(release) << ": run scripts/install-node-packages.sh"; \
  }

EngineRun RunNode(const std::string& model, const std::string& keep, const std::vector<std::string>& folders,
                  std::map<std::string, std::string> environment, const char* threads = "1") {
  const std::string snapshot = WorkDirectory() + "/node.snapshot";
  unlink(snapshot.c_str());
  if (environment.count("HEADRACE_FLASH_MODE") > 0) environment["HEADRACE_SNAPSHOT"] = snapshot;
  ChildOptions options;
  options.environment = std::move(environment);
  std::vector<std::string> command = {"node", std::string(HEADRACE_ENGINE_TESTS) + "/node_engine.mjs", model, threads,
                                      keep};
  command.insert(command.end(), folders.begin(), folders.end());
  EngineRun run;
  run.child = RunChild(command, options);
  if (auto view = SnapshotView::Open(snapshot); view.ok()) run.snapshot.emplace(std::move(view).value());
  return run;
}

class NodeEngines : public ::testing::TestWithParam<Release> {
 protected:
  void SetUp() override { HEADRACE_NEEDS(GetParam()); }

  EngineRun Run(const std::string& model, std::map<std::string, std::string> environment) {
    return RunNode(model, "free", {FolderOf(GetParam())}, std::move(environment));
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
    const ChildResult made =
        RunChild({"python3", "-B", std::string(HEADRACE_ENGINE_TESTS) + "/older_mixture.py", model, older});
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

// Two releases in one process. Their libggml-base has the same name, by which the loader would give the second the
// first one's: a copy of the second gets a name of its own.
class TwoNodeEngines : public ::testing::Test {
 protected:
  void SetUp() override {
    HEADRACE_NEEDS(kReleases[0]);
    HEADRACE_NEEDS(kReleases[3]);
    namespace fs = std::filesystem;
    const fs::path copy = WorkDirectory() + "/copy";
    fs::remove_all(copy);
    fs::create_directories(copy);
    for (const auto& entry : fs::directory_iterator(FolderOf(kReleases[3]))) {
      fs::copy(entry.path(), copy / entry.path().filename(),
               fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    }
    const fs::path binaries = copy / "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64";
    fs::rename(binaries / "libggml-base.so", binaries / "libggml-base-second.so");
    std::vector<std::string> rename = {"patchelf", "--replace-needed", "libggml-base.so", "libggml-base-second.so"};
    for (const auto& entry : fs::directory_iterator(binaries)) {
      if (entry.path().extension() == ".so" || entry.path().extension() == ".node")
        rename.push_back(entry.path().string());
    }
    ASSERT_TRUE(RunChild(rename).Ok());
    const ChildResult named = RunChild(
        {"patchelf", "--set-soname", "libggml-base-second.so", (binaries / "libggml-base-second.so").string()});
    ASSERT_TRUE(named.Ok()) << named.Describe();
    folders_ = {FolderOf(kReleases[0]), copy.string()};
  }

  const std::string model_ = BundledModel("austen-dense-q4_0.gguf");
  std::vector<std::string> folders_;
};

TEST_F(TwoNodeEngines, StreamOneAfterTheOther) {
  const EngineRun stock = RunNode(model_, "free", folders_, {{"LD_PRELOAD", HEADRACE_PLAIN_KERNELS}});
  const EngineRun run = RunNode(model_, "free", folders_, StreamingEnvironment(kBudget, false));
  ASSERT_TRUE(stock.child.Ok()) << stock.child.Describe();
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  EXPECT_EQ(run.child.out, stock.child.out);
  EXPECT_EQ(Lines(run.child.err, "headrace: ").size(), 0u) << run.child.err;
  EXPECT_TRUE(ReallyStreamed(run, kBudget, 2 * kPasses));
}

TEST_F(TwoNodeEngines, OneStreamsAtATime) {
  const EngineRun stock = RunNode(model_, "keep", folders_, {{"LD_PRELOAD", HEADRACE_PLAIN_KERNELS}});
  const EngineRun run = RunNode(model_, "keep", folders_, StreamingEnvironment(kBudget, false));
  ASSERT_TRUE(stock.child.Ok()) << stock.child.Describe();
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  EXPECT_EQ(run.child.out, stock.child.out);
  EXPECT_EQ(Lines(run.child.err, "another llama.cpp in this process streams already").size(), 1u) << run.child.err;
  EXPECT_TRUE(ReallyStreamed(run, kBudget, kPasses));
}

// These builds of ggml make a team of threads for each graph that they compute, and end it afterwards.
class NodeTeams : public ::testing::TestWithParam<const char*> {
 protected:
  // Threads that the process started to write so many tokens.
  static long ThreadsFor(int tokens, std::map<std::string, std::string> environment) {
    const std::string count = WorkDirectory() + "/threads";
    unlink(count.c_str());
    environment["LD_PRELOAD"] = HEADRACE_COUNT_THREADS " " + environment["LD_PRELOAD"];
    environment["COUNT_THREADS"] = count;
    environment["TOKENS"] = std::to_string(tokens);
    const EngineRun run = RunNode(BundledModel(GetParam()), "free", {FolderOf(kReleases[0])}, environment, "2");
    EXPECT_TRUE(run.child.Ok()) << run.child.Describe();
    long most = 0, threads = 0;  // a line for each process: Node.js tries the engine in others
    std::ifstream lines(count);
    while (lines >> threads) most = std::max(most, threads);
    return most;
  }
  static double ThreadsForAToken(const std::map<std::string, std::string>& environment) {
    return static_cast<double>(ThreadsFor(24, environment) - ThreadsFor(4, environment)) / 20;
  }
};

TEST_P(NodeTeams, AreAsManyAsStocks) {
  HEADRACE_NEEDS(kReleases[0]);
  const double stock = ThreadsForAToken({{"LD_PRELOAD", HEADRACE_PLAIN_KERNELS}});
  EXPECT_GE(stock, 0.9) << "one thread beside the host's for each token";
  EXPECT_LE(ThreadsForAToken(StreamingEnvironment(kBudget, false)), 1.5 * stock);
}

INSTANTIATE_TEST_SUITE_P(Models, NodeTeams, ::testing::Values("austen-dense-q4_0.gguf", "austen-moe-q4_0.gguf"),
                         [](const auto& test) {
                           return std::string(test.param).find("moe") != std::string::npos ? "Mixture" : "Dense";
                         });

INSTANTIATE_TEST_SUITE_P(Releases, NodeEngines, ::testing::ValuesIn(kReleases), [](const auto& test) {
  std::string name = test.param.llama;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

}  // namespace
}  // namespace headrace::testing
