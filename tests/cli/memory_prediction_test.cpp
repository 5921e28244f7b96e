// What `headrace plan` foretells of a process's memory, beside what the real engine then uses. Contexts are filled, and
// batches narrow: an engine that reserves logits for all tokens of a batch does not touch those of a prompt.
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/size.h"
#include "children_memory.h"
#include "command_runner.h"

namespace headrace::cli {
namespace {

struct Case {
  std::string name;
  std::string model;  // "" for the generated one
  uint64_t context = 0;
  bool streams = true;
  std::string kv_ram = "";  // "": the KV cache stays in memory
  friend void PrintTo(const Case& test, std::ostream* out) {
    *out << test.model << " with " << test.context << " tokens";
  }
};

class MemoryTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    ASSERT_EQ(Run({"engine"}).status, 0) << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
  }

  static std::string Bundled(const std::string& name) { return std::string(HEADRACE_SOURCE_DIR) + "/models/" + name; }

  // Fills a context: the bundled models' tokenizer makes 30 tokens of a sentence, the generated ones' 106.
  std::string Prompt(uint64_t context, uint64_t tokens_of_sentence) {
    std::string text;
    for (uint64_t i = 0; i < (context - 20) / tokens_of_sentence; ++i) {
      text +=
          "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want "
          "of a wife. ";
    }
    return tree_.File("prompt.txt", text);
  }

  // What both commands are told. `ram` is of bytes.
  static std::vector<std::string> Options(const Case& test, uint64_t ram) {
    std::vector<std::string> options = {"--ram",        std::to_string(ram / kKiB) + "K",
                                        "--flash-mode", test.streams ? "on" : "auto",
                                        "-c",           std::to_string(test.context)};
    if (!test.kv_ram.empty())
      options.insert(options.end(), {"--kv-dir", HEADRACE_TEST_FOLDER, "--kv-ram", test.kv_ram});
    options.insert(options.end(), {"--", "-ub", "128"});
    return options;
  }

  nlohmann::json Plan(std::vector<std::string> arguments) {
    const Outcome plan = Run(arguments);
    EXPECT_EQ(plan.status, 0) << plan.err;
    return nlohmann::json::parse(plan.out, nullptr, false);
  }

  void ExpectForetold(const nlohmann::json& plan, uint64_t measured, const std::string& what) {
    const auto foretold = plan["memory"]["peak_bytes"].get<double>();
    EXPECT_NEAR(static_cast<double>(measured), foretold, 0.05 * foretold) << what << "\n" << plan["decision"];
    RecordProperty("foretold", std::to_string(foretold));
    RecordProperty("measured", std::to_string(measured));
  }
};

class MemoryPrediction : public MemoryTest, public testing::WithParamInterface<Case> {};

TEST_P(MemoryPrediction, WithinFivePercent) {
  const Case& test = GetParam();
  std::string model = test.model.empty() ? tree_.Path("tiny.gguf") : Bundled(test.model);
  if (test.model.empty()) {
    struct stat info {};
    ASSERT_EQ(stat(HEADRACE_MAKE_MODEL, &info), 0) << "headrace-make-model is not built (HEADRACE_BENCH)";
    ASSERT_EQ(Shell(HEADRACE_MAKE_MODEL " --preset tiny --quiet " + model).status, 0);
  }
  const auto with = [&](std::vector<std::string> arguments, uint64_t ram) {
    for (const std::string& option : Options(test, ram)) arguments.push_back(option);
    return arguments;
  };
  const std::vector<std::string> plan_arguments = {"plan", model, "--json"};
  const std::string prompt = Prompt(test.context, test.model.empty() ? 106 : 30);
  // What streams gets a little more than the least, and room for some experts: how much that is depends on the
  // processor and the engine.
  uint64_t ram = kGiB;
  if (test.streams) ram = Plan(with(plan_arguments, ram))["memory"]["least_bytes"].get<uint64_t>() + 3 * kMiB;
  const auto plan = Plan(with(plan_arguments, ram));
  const auto run_arguments = with({"run", model, "-f", prompt, "-n", "4", "--raw", "--temp", "0"}, ram);
  RunningCommand command = Start(run_arguments);
  PeakOfChildren peak(command.pid());
  const Outcome outcome = command.Finish();
  const uint64_t measured = peak.Finish();
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const bool streamed = outcome.err.find("streamed per pass") != std::string::npos;
  EXPECT_EQ(plan["streams"].get<bool>(), test.streams);
  EXPECT_EQ(streamed, test.streams) << outcome.err;
  EXPECT_EQ(outcome.err.find("KV cache in a file") != std::string::npos,
            plan["memory"]["context_file_bytes"].get<uint64_t>() > 0);
  ExpectForetold(plan, measured, outcome.err);
}

// Each has a stack and a share of the work buffer.
TEST_F(MemoryTest, ThreadsCount) {
  // What the engine's program uses by itself differs from run to run by some hundred KiB: the least of several.
  const auto engine_kib = [&](const char* option, const char* threads) {
    double least = 0;
    for (int i = 0; i < 4; ++i) {
      const double once = Plan({"plan", Bundled("austen-dense-q4_0.gguf"), "--json", "--ram", "1G", "--", "-t", "2",
                                option, threads})["memory"]["engine_bytes"]
                              .get<double>() /
                          kKiB;
      least = i == 0 ? once : std::min(least, once);
    }
    return least;
  };
  const double two = engine_kib("-t", "2");
  EXPECT_NEAR(engine_kib("-t", "16"), two + 14 * 160, 512);
  EXPECT_NEAR(engine_kib("-tb", "10"), two + 8 * 160, 512);
}

std::string NameOf(const testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Short, MemoryPrediction,
                         testing::Values(Case{"dense", "austen-dense-q4_0.gguf", 512},
                                         Case{"moe", "austen-moe-q4_0.gguf", 512}, Case{"generated", "", 512},
                                         Case{"dense_that_fits", "austen-dense-q4_0.gguf", 512, false},
                                         Case{"kv_in_a_file", "austen-dense-q4_0.gguf", 2048, true, "3M"}),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Slow, MemoryPrediction,
                         testing::Values(Case{"dense", "austen-dense-q4_0.gguf", 8192},
                                         Case{"moe", "austen-moe-q4_0.gguf", 8192}, Case{"generated", "", 8192}),
                         NameOf);

}  // namespace
}  // namespace headrace::cli
