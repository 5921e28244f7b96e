// The shapes of published models (headrace-make-model --preset): what is written is what llama-quantize makes of such a
// model, the engine loads it, and streamed it answers to the bit. Streamed are models of the same architecture and
// types with fewer and narrower layers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <numeric>
#include <regex>
#include <set>

#include "base/size.h"
#include "dump.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

struct Published {
  const char* preset;
  const char* quantization;          // llama-quantize's name of its types
  std::vector<std::string> smaller;  // a model of some megabytes
};

std::ostream& operator<<(std::ostream& out, const Published& published) { return out << published.preset; }

const std::vector<Published> kPublished = {
    {"llama-3.1-8b", "Q4_K_M", {"--layers", "4", "--width", "512", "--feed-forward", "1536", "--heads", "8"}},
    {"llama-3.1-70b", "Q4_K_M", {"--layers", "3", "--width", "1024", "--feed-forward", "2048", "--heads", "16"}},
    {"qwen3-30b-a3b",
     "Q4_K_M",
     {"--layers", "4", "--width", "512", "--feed-forward", "256", "--heads", "8", "--experts", "16"}},
    {"gpt-oss-20b",
     "MXFP4_MOE",
     {"--layers", "4", "--width", "480", "--feed-forward", "480", "--heads", "16", "--experts", "8"}},
    {"gpt-oss-120b",
     "MXFP4_MOE",
     {"--layers", "3", "--width", "480", "--feed-forward", "480", "--heads", "16", "--experts", "16"}},
    {"qwen3-next-80b",
     "Q4_K_M",
     {"--layers", "5", "--width", "512", "--feed-forward", "256", "--heads", "4", "--experts", "24"}},
    {"glm-4.5-air",
     "Q4_K_M",
     {"--layers", "3", "--width", "512", "--feed-forward", "352", "--heads", "12", "--experts", "16"}},
    {"deepseek-v3",
     "Q4_K_M",
     {"--layers", "4", "--width", "512", "--feed-forward", "256", "--heads", "8", "--experts", "32"}},
};

std::string Name(const std::string& text) { return std::regex_replace(text, std::regex("[^a-z0-9]"), "_"); }

ChildResult Make(const std::string& preset, std::vector<std::string> more, const std::string& path) {
  std::vector<std::string> words = {HEADRACE_MAKE_MODEL, "--preset", preset, "--quiet", "--force"};
  words.insert(words.end(), more.begin(), more.end());
  words.push_back(path);
  return RunChild(words);
}

// "" when all that was computed is finite, and the last values differ: a model of zeros or infinities would equal stock
// anyway.
std::string Senseless(const std::string& dump) {
  std::set<float> last;
  for (size_t at = 0; at + kLabelBytes + sizeof(uint64_t) <= dump.size();) {
    uint64_t count = 0;
    std::memcpy(&count, dump.data() + at + kLabelBytes, sizeof count);
    std::vector<float> values(count);
    std::memcpy(values.data(), dump.data() + at + kLabelBytes + sizeof count, count * sizeof(float));
    const bool finite = std::all_of(values.begin(), values.end(),
                                    [](float value) { return std::isfinite(value) && std::fabs(value) < 1e4F; });
    if (!finite) return std::string("not finite: ") + (dump.data() + at);
    last = {values.begin(), values.end()};
    at += kLabelBytes + sizeof count + count * sizeof(float);
  }
  return last.size() > 500 && *last.rbegin() - *last.begin() > 1 ? "" : "the last values are alike";
}

class PublishedShapes : public ::testing::TestWithParam<Published> {
 protected:
  void SetUp() override {
    ASSERT_EQ(access(HEADRACE_MAKE_MODEL, X_OK), 0) << "headrace-make-model is not built (HEADRACE_BENCH)";
  }
};
INSTANTIATE_TEST_SUITE_P(All, PublishedShapes, ::testing::ValuesIn(kPublished),
                         [](const auto& test) { return Name(test.param.preset); });

// Of the whole shape, a file of holes: the engine knows each tensor, and would give each the type that it has.
TEST_P(PublishedShapes, HaveTheTypesThatLlamaQuantizeGives) {
  const std::string path = WorkDirectory() + "/whole-" + GetParam().preset + ".gguf";
  const ChildResult made = Make(GetParam().preset, {"--sparse"}, path);
  if (!made.Ok() && made.err.find("cannot hold") != std::string::npos) GTEST_SKIP() << made.err;
  ASSERT_TRUE(made.Ok()) << made.Describe();
  ChildOptions options;
  if (HEADRACE_ENGINE_BACKENDS[0] != '\0') options.directory = HEADRACE_ENGINE_BACKENDS;
  const ChildResult dry = RunChild(
      {EngineProgram("llama-quantize"), "--dry-run", "--allow-requantize", path, GetParam().quantization}, options);
  std::filesystem::remove(path);
  ASSERT_TRUE(dry.Ok()) << dry.Describe();
  const std::string said = dry.out + dry.err;
  const auto size = [&](const char* of) {
    std::smatch found;
    return std::regex_search(said, found, std::regex(std::string(of) + R"( size +=[ ]*([0-9.]+ MiB))")) ? found[1].str()
                                                                                                        : "none";
  };
  EXPECT_NE(size("model"), "none") << dry.Describe();
  EXPECT_EQ(size("model"), size("quant"));
}

TEST_P(PublishedShapes, StreamToTheBit) {
  Work work;
  work.model = WorkDirectory() + "/" + GetParam().preset + ".gguf";
  std::vector<std::string> smaller = GetParam().smaller;
  smaller.insert(smaller.end(), {"--vocabulary", "1024"});
  const ChildResult made = Make(GetParam().preset, smaller, work.model);
  ASSERT_TRUE(made.Ok()) << made.Describe();
  const uint64_t file = FileBytes(work.model);
  work.prompts = {1, 7, 150};  // more than the sliding window of 128
  work.decode = 6;
  for (const bool repack : {false, true}) {
    work.repack = repack;
    const EngineRun stock = RunStock(work);
    EXPECT_EQ(Senseless(stock.dump), "");
    bool streamed = false;
    for (const uint64_t budget : {file / 3, file * 6 / 10, file * 9 / 10, 2 * file + 64 * kMiB}) {
      SCOPED_TRACE(::testing::Message() << (repack ? "repacked" : "plain") << ", budget " << budget << " of " << file);
      const EngineRun run = RunStreamed(work, budget);
      if (!run.child.Ok() && budget < file / 2 && FailedCleanly(stock, run)) continue;  // too little for this model
      EXPECT_TRUE(SameBytes(stock, run));
      if (budget < file) streamed |= static_cast<bool>(ReallyStreamed(run, budget, work.Passes()));
      EXPECT_TRUE(budget < file || ReallyManaged(run, budget, work.Passes()));
    }
    EXPECT_TRUE(streamed);
  }
  std::filesystem::remove(work.model);
}

// Layers whose experts have other sizes than their neighbours', as dynamic quantizations have them.
class MixedExperts : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Kernels, MixedExperts, ::testing::Bool(),
                         [](const auto& kernels) { return kernels.param ? "repack" : "plain"; });

TEST_P(MixedExperts, StreamToTheBit) {
  Work work;
  work.model = WorkDirectory() + "/mixed.gguf";
  work.repack = GetParam();
  work.decode = 24;
  const ChildResult made = Make("moe-tiny", {"--type", "dynamic", "--layers", "6"}, work.model);
  ASSERT_TRUE(made.Ok()) << made.Describe();
  const EngineRun stock = RunStock(work);
  EXPECT_EQ(Senseless(stock.dump), "");
  const uint64_t file = FileBytes(work.model);
  bool gave_up = false;
  for (const uint64_t budget : {file / 3, file / 2, file * 3 / 4, 2 * file + 64 * kMiB}) {
    SCOPED_TRACE(::testing::Message() << "budget " << budget << " of " << file);
    const EngineRun run = RunStreamed(work, budget);
    EXPECT_TRUE(SameBytes(stock, run));
    ASSERT_TRUE(ReallyManaged(run, budget, work.Passes()));
    gave_up |= (*run.snapshot)->expert_hits > 0 &&
               (*run.snapshot)->expert_bytes_read > 2 * (*run.snapshot)->expert_cache_bytes;
  }
  EXPECT_TRUE(gave_up) << "no budget made the cache give experts up";
}

// Of the choices in a trace (HEADRACE_TRACE) of the last tokens: the share that falls on each layer's most popular
// eighth, and the share that was chosen by the token eight before, too.
struct Locality {
  double popular = 0, again = 0;
};

Locality LocalityOf(const std::string& path, uint32_t experts, size_t last) {
  const std::string bytes = ReadWholeFile(path);
  std::map<uint16_t, std::vector<std::set<uint16_t>>> layers;
  for (size_t at = 8; at + 4 <= bytes.size();) {
    uint16_t layer = 0, count = 0;
    std::memcpy(&layer, bytes.data() + at, 2);
    std::memcpy(&count, bytes.data() + at + 2, 2);
    std::vector<uint16_t> chosen(count);
    std::memcpy(chosen.data(), bytes.data() + at + 4, 2 * size_t{count});
    layers[layer].emplace_back(chosen.begin(), chosen.end());
    at += 4 + 2 * size_t{count};
  }
  double all = 0, popular = 0, again = 0;
  for (const auto& [layer, steps] : layers) {
    std::vector<double> uses(experts);
    for (size_t i = steps.size() > last ? steps.size() - last : 8; i < steps.size(); ++i) {
      for (const uint16_t expert : steps[i]) {
        ++all;
        ++uses[expert];
        again += static_cast<double>(steps[i - 8].count(expert));
      }
    }
    std::sort(uses.rbegin(), uses.rend());
    popular = std::accumulate(uses.begin(), uses.begin() + experts / 8, popular);
  }
  return all > 0 ? Locality{popular / all, again / all} : Locality{};
}

// A subject that decides what is chosen for some tens of tokens: without being popular in the long run, experts come
// again; and bits are stock's.
TEST(DriftingChoices, ComeAgainWithoutBeingPopular) {
  Work work;
  work.model = WorkDirectory() + "/drifting.gguf";
  work.prompts = {1, 7, 150};
  std::map<std::string, Locality> found;
  for (const char* choices : {"popular", "drifting"}) {
    const ChildResult made = Make(
        "moe-tiny", {"--choices", choices, "--layers", "2", "--experts", "128", "--feed-forward", "32"}, work.model);
    ASSERT_TRUE(made.Ok()) << made.Describe();
    const uint64_t budget = FileBytes(work.model) / 2;
    const EngineRun run = RunStreamed(work, budget);
    EXPECT_TRUE(SameBytes(RunStock(work), run)) << choices;
    EXPECT_TRUE(ReallyStreamed(run, budget, work.Passes()));
    ChildOptions options;
    options.environment = StreamingEnvironment(budget, false);
    const std::string trace = options.environment["HEADRACE_TRACE"] = WorkDirectory() + "/" + choices + ".trace";
    // Its tokens are random; the first hundred fill the context.
    const ChildResult bench = RunChild(
        {EngineProgram("llama-bench"), "-m", work.model, "-p", "0", "-n", "500", "-r", "1", "-t", "1"}, options);
    ASSERT_TRUE(bench.Ok()) << bench.Describe();
    found[choices] = LocalityOf(trace, 128, 400);
  }
  EXPECT_GT(found["popular"].popular, 0.7);
  EXPECT_LT(found["drifting"].popular, 0.6) << "by chance 0.125 and noise";
  EXPECT_GT(found["drifting"].again, 0.1) << "by chance 0.016";
  std::filesystem::remove(work.model);
}

}  // namespace
}  // namespace headrace::testing
