// What one run learned about a mixture's experts is known to the next one, and changes no output.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/size.h"
#include "dump.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

namespace fs = std::filesystem;

class Remember : public ::testing::Test {
 protected:
  Remember() : cache_(WorkDirectory() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    work_.model = BundledModel("austen-moe-q4_0.gguf");
    work_.prompts = {1};
    work_.decode = 24;
  }

  EngineRun Run(uint64_t budget, const std::map<std::string, std::string>& more = {}) {
    // Without foresight every expert that is used is missed once.
    std::map<std::string, std::string> environment = {
        {"HEADRACE_REMEMBER", "1"}, {"HEADRACE_LOOK_AHEAD", "0"}, {"XDG_CACHE_HOME", cache_}, {"HEADRACE_DEBUG", "1"}};
    for (const auto& [name, value] : more) environment[name] = value;
    return RunStreamed(work_, budget, environment);
  }

  // The number of experts that were read ahead, from the debug line.
  static uint64_t ReadAhead(const EngineRun& run) {
    uint64_t sum = 0;
    for (const std::string& line : Lines(run.child.err, " experts that were used before are read ahead")) {
      sum += std::stoull(line.substr(line.find(' ') + 1));
    }
    return sum;
  }

  std::vector<std::string> Kept() const {
    std::vector<std::string> paths;
    std::error_code none;
    for (const auto& entry : fs::recursive_directory_iterator(cache_, none)) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
    return paths;
  }

  const std::string cache_;
  Work work_;
};

// With room for all experts: what the first run missed, the second one reads ahead.
TEST_F(Remember, TheSecondRunIsWarm) {
  const uint64_t all = 2 * FileBytes(work_.model) + 64 * kMiB;
  const EngineRun stock = RunStock(work_);
  const EngineRun cold = Run(all);
  ASSERT_TRUE(SameBytes(stock, cold));
  EXPECT_EQ(ReadAhead(cold), 0u) << cold.child.Describe();
  ASSERT_EQ(Kept().size(), 1u);
  EXPECT_LT(FileBytes(Kept()[0]), 16 * kKiB);
  const std::string learned = ReadWholeFile(Kept()[0]);
  const EngineRun warm = Run(all);
  EXPECT_TRUE(SameBytes(stock, warm));
  ASSERT_TRUE(cold.snapshot && warm.snapshot);
  const Snapshot &before = **cold.snapshot, &after = **warm.snapshot;
  EXPECT_EQ(ReadAhead(warm), before.experts_chosen - before.expert_hits) << warm.child.Describe();
  EXPECT_EQ(after.experts_chosen, before.experts_chosen);
  EXPECT_GT(after.expert_hits, before.expert_hits);
  ASSERT_EQ(Kept().size(), 1u);

  for (const std::string& bad : {std::string("rubbish"), learned.substr(0, learned.size() / 2), std::string()}) {
    std::ofstream(Kept()[0], std::ios::binary | std::ios::trunc) << bad;
    const EngineRun run = Run(all);
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_EQ(ReadAhead(run), 0u) << run.child.Describe();
    EXPECT_EQ(Lines(run.child.err, "it is ignored").size(), 1u) << run.child.Describe();
    EXPECT_EQ(ReadWholeFile(Kept().at(0)), learned) << "a cold run learns the same";
  }
}

// Prompts meet experts that are still being read ahead, in caches that are too small for all.
TEST_F(Remember, AWarmStartEqualsStock) {
  work_.prompts = {1, 7, 64};
  work_.decode = 12;
  const EngineRun stock = RunStock(work_);
  for (const uint64_t part : {4, 2, 1}) {
    for (const char* fault : {"", "delay_us=200,short=4K,reorder=1"}) {
      const uint64_t budget = FileBytes(work_.model) / part;
      const EngineRun run = Run(budget, {{"HEADRACE_FAULT", fault}});
      EXPECT_TRUE(SameBytes(stock, run)) << "budget " << budget << ", fault " << fault;
      EXPECT_TRUE(ReallyManaged(run, budget, work_.Passes()));
    }
  }
}

TEST_F(Remember, NothingIsWrittenWhenSwitchedOffOrPassive) {
  const uint64_t half = FileBytes(work_.model) / 2;
  const EngineRun stock = RunStock(work_);
  const std::map<std::string, std::string> settings[] = {
      {{"HEADRACE_REMEMBER", "0"}},
      {{"HEADRACE_FLASH_MODE", "off"}},
      {{"HEADRACE_FLASH_MODE", "auto"}, {"HEADRACE_WEIGHTS_RAM", "1G"}},
  };
  for (const auto& setting : settings) {
    EXPECT_TRUE(SameBytes(stock, Run(half, setting)));
    EXPECT_FALSE(fs::exists(cache_)) << setting.begin()->first << "=" << setting.begin()->second;
  }
  work_.model = BundledModel("austen-dense-q4_0.gguf");
  EXPECT_TRUE(SameBytes(RunStock(work_), Run(FileBytes(work_.model) / 2)));
  EXPECT_FALSE(fs::exists(cache_)) << "a model without experts";
}

TEST_F(Remember, WithoutAFolderOneLineSaysSo) {
  const uint64_t half = FileBytes(work_.model) / 2;
  const EngineRun stock = RunStock(work_);
  for (const auto& [cache, home] :
       {std::pair("", ""), {"relative", ""}, {"/proc/nowhere", ""}, {"", "/proc/nowhere"}}) {
    const EngineRun run = Run(half, {{"XDG_CACHE_HOME", cache}, {"HOME", home}});
    EXPECT_TRUE(SameBytes(stock, run));
    EXPECT_EQ(Lines(run.child.err, "cannot remember popular experts for the next run").size(), 1u)
        << run.child.Describe();
  }
}

}  // namespace
}  // namespace headrace::testing
