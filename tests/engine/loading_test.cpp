// Models as they come and go: freed while another one computes, replaced by other files of the same name, without a
// name, with headers that the library cannot know.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/size.h"
#include "dump.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

namespace fs = std::filesystem;

const std::string kDense = BundledModel("austen-dense-q4_0.gguf");
const std::string kDraft = BundledModel("austen-draft-f16.gguf");
constexpr uint64_t kBudget = 6 * kMiB;

std::string CopyOf(const std::string& model, const std::string& name) {
  const std::string path = WorkDirectory() + "/" + name + ".gguf";
  fs::copy_file(model, path, fs::copy_options::overwrite_existing);
  return path;
}

// Of the bundled models, nearly; what follows is weights.
constexpr uint64_t kHeaderBytes = 128 * kKiB;

class Freed : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(WhileAnotherComputes, Freed, ::testing::Values("callback", "thread", "munmap", "set", "other"),
                         [](const auto& how) { return std::string(how.param); });

TEST_P(Freed, HangsNobodyAndGivesItsMemoryBack) {
  // The same shapes with other weights.
  std::string bytes = ReadWholeFile(kDraft);
  for (size_t i = bytes.size() / 2; i < bytes.size(); i += 2) bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
  const std::string third = WorkDirectory() + "/other-weights.gguf";
  std::ofstream(third, std::ios::binary) << bytes;
  for (const bool repack : {false, true}) {
    const std::vector<std::string> scenario = {HEADRACE_HOST_SCENARIOS,
                                               "free",
                                               "--model",
                                               kDense,
                                               "--second",
                                               kDraft,
                                               "--third",
                                               third,
                                               "--how",
                                               GetParam(),
                                               "--repack",
                                               repack ? "1" : "0"};
    const EngineRun stock = RunDumper(scenario, {});
    const EngineRun run = RunDumper(scenario, StreamingEnvironment(9 * kMiB, repack), std::chrono::seconds(60));
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_EQ(run.child.err, "");
    EXPECT_TRUE(ReallyStreamed(run, 9 * kMiB, 10));
  }
}

class Rewritten : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Files, Rewritten, ::testing::Values("inplace", "anew", "moved"),
                         [](const auto& change) { return std::string(change.param); });

// What fits is replaced by what does not, and the other way round.
TEST_P(Rewritten, AreJudgedAnew) {
  auto environment = StreamingEnvironment(8 * kMiB, false);
  environment["HEADRACE_FLASH_MODE"] = "auto";
  for (const auto& [first, second, said] :
       {std::tuple{kDraft, kDense, "streams 0\nstreams 1\n"}, {kDense, kDraft, "streams 1\nstreams 0\n"}}) {
    const auto scenario = [&, &first = first, &second = second] {
      return std::vector<std::string>{HEADRACE_HOST_SCENARIOS,
                                      "rewrite",
                                      "--model",
                                      CopyOf(first, "rewritten"),
                                      "--second",
                                      second,
                                      "--change",
                                      GetParam()};
    };
    const EngineRun stock = RunDumper(scenario(), {});
    const EngineRun run = RunDumper(scenario(), environment);
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_EQ(run.child.out, said);
    EXPECT_EQ(run.child.err, "");
  }
}

// The file that is mapped streams, not the one that has its name by now.
TEST(OpenFile, StreamsWithoutItsName) {
  for (const char* change : {"delete", "replace"}) {
    for (const bool repack : {false, true}) {
      const auto scenario = [&] {
        return std::vector<std::string>{
            HEADRACE_HOST_SCENARIOS, "pointer", "--model", CopyOf(kDense, "nameless"), "--change", change, "--repack",
            repack ? "1" : "0"};
      };
      const EngineRun stock = RunDumper(scenario(), {});
      const EngineRun run = RunDumper(scenario(), StreamingEnvironment(kBudget, repack));
      EXPECT_TRUE(SameBytes(stock, run));
      EXPECT_EQ(run.child.err, "");
      EXPECT_TRUE(ReallyStreamed(run, kBudget, 5));
    }
  }
}

// A part is no model: none streams any more when all parts are unmapped.
TEST(SplitModels, AreOneModel) {
  const std::string prefix = WorkDirectory() + "/parts";
  const ChildResult split =
      RunChild({EngineProgram("llama-gguf-split"), "--split", "--split-max-size", "3M", kDense, prefix});
  ASSERT_TRUE(split.Ok()) << split.Describe();
  const std::vector<std::string> scenario = {HEADRACE_HOST_SCENARIOS, "reload", "--model",
                                             prefix + "-00001-of-00005.gguf"};
  const EngineRun stock = RunDumper(scenario, {});
  const EngineRun run = RunDumper(scenario, StreamingEnvironment(kBudget, false));
  EXPECT_TRUE(SameBytes(stock, run));
  EXPECT_TRUE(ReallyStreamed(run, kBudget, 5));
  ASSERT_TRUE(run.snapshot);
  EXPECT_EQ((*run.snapshot)->models.load(), 0u);
}

// Whether the weights fit is decided by the weights: neither the header nor a part's own size counts.
TEST(SplitModels, AreJudgedAsAWhole) {
  const std::string prefix = WorkDirectory() + "/whole";
  const ChildResult split =
      RunChild({EngineProgram("llama-gguf-split"), "--split", "--split-max-size", "3M", kDense, prefix});
  ASSERT_TRUE(split.Ok()) << split.Describe();
  uint64_t weights = 0;
  for (const std::string& model : {kDense, prefix + "-00001-of-00005.gguf"}) {
    Work work;
    work.model = model;
    work.prompts = {7};
    // The least budget that holds all: found between a half and the whole of the file.
    uint64_t streams = FileBytes(kDense) / 2, fits = FileBytes(kDense);
    while (fits - streams > 4 * kKiB) {
      const uint64_t middle = (fits + streams) / 2;
      const EngineRun run = RunStreamed(work, middle, {{"HEADRACE_FLASH_MODE", "auto"}});
      ASSERT_TRUE(run.snapshot) << run.child.Describe();
      ((*run.snapshot)->passes > 0 ? streams : fits) = middle;
    }
    EXPECT_LT(fits, FileBytes(kDense) - 16 * kKiB) << model << ": the vocabulary is no weight";
    if (weights == 0) weights = fits;
    EXPECT_LE(fits, weights + 4 * kKiB) << model;
    EXPECT_GE(fits + 4 * kKiB, weights) << model;
  }
}

// A file's header is the engine's affair: whatever it holds, the weights stream.
TEST(UnknownHeaders, AreStreamedAllTheSame) {
  Work work;
  work.model = kDense;
  work.prompts = {1, 20};
  for (const char* mode : {"on", "auto"}) {
    auto environment =
        WithChangedCalls(StreamingEnvironment(kBudget, false), "LIBRARY_SEES_NOISE", std::to_string(kHeaderBytes));
    environment["HEADRACE_FLASH_MODE"] = mode;
    environment["HEADRACE_READER"] = "pread";
    const EngineRun run = RunStreamed(work, kBudget, environment);
    EXPECT_TRUE(SameBytes(RunStock(work), run));
    EXPECT_EQ(run.child.err, "");
    EXPECT_TRUE(ReallyStreamed(run, kBudget, work.Passes()));
  }
}

TEST(LastError, IsTheLast) {
  auto environment = StreamingEnvironment(kBudget, false);
  environment["HEADRACE_FAULT"] = "errno=EIO";
  const EngineRun run = RunDumper({HEADRACE_HOST_SCENARIOS, "errors", "--model", kDense}, environment);
  ASSERT_TRUE(run.child.Ok()) << run.child.Describe();
  const auto lines = Lines(run.child.out);
  ASSERT_EQ(lines.size(), 6u) << run.child.out;
  EXPECT_EQ(lines[0], "start: ");
  EXPECT_EQ(lines[1], "set: flash_ram_gb must be a number of GiB above 0");
  EXPECT_NE(lines[2], "code 0");
  EXPECT_NE(lines[3].find("austen-dense-q4_0.gguf"), std::string::npos) << lines[3];
  EXPECT_EQ(lines[4], "stats: headrace_stats has an unknown struct_size");
  EXPECT_EQ(lines[5], "set again: flash_ram_gb must be a number of GiB above 0");
}

// Statistics that nobody asked for lie in memory that may be full: that ends no program.
TEST(FullSharedMemory, EndsNobody) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to mount a file system";
  const std::string dump = WorkDirectory() + "/full.dump";
  const std::string script =
      "for f in /dev/shm /tmp; do mount -t tmpfs -o size=64k none $f && ! cat /dev/zero >$f/fill 2>/dev/null || exit "
      "99; done; "
      "LD_PRELOAD=" +
      LibraryPath() + " exec " + HEADRACE_HOST_SCENARIOS + " rounds --model " + kDense;
  ChildOptions options;
  options.environment = StreamingEnvironment(kBudget, false);
  options.environment.erase("LD_PRELOAD");
  const ChildResult run = RunChild({"unshare", "-m", "sh", "-c", script}, options);
  EXPECT_TRUE(run.Ok()) << run.Describe();
  EXPECT_EQ(Lines(run.out, " code 0").size(), 4u) << run.Describe();
}

}  // namespace
}  // namespace headrace::testing
