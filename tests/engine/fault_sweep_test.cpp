// Every read of a run goes wrong once, one run for each: the outputs are stock's, or the run fails with a line that
// says why. What the suites named Slow* do for each read, the others do for a few that are spread over the run.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "base/size.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

enum class End { kRight, kFailed };

struct Fault {
  const char* name;
  const char* spec;  // of one read, which is tried three times
  End end;
};
constexpr Fault kFaults[] = {
    {"Once", "times=1,errno=EIO", End::kRight},         {"ForGood", "times=3,errno=EIO", End::kFailed},
    {"Gone", "times=3,errno=ENODEV", End::kFailed},     {"Short", "times=1,short=4K", End::kRight},
    {"Truncated", "times=1,truncated=1", End::kFailed}, {"Late", "times=1,delay_us=100000", End::kRight}};

struct Sweep {
  const char* name;
  const char* model;
  const Fault& fault;
};
constexpr const char* kModels[][2] = {{"Dense", "austen-dense-q4_0.gguf"}, {"Mixture", "austen-moe-q4_0.gguf"}};

std::vector<Sweep> Sweeps() {
  std::vector<Sweep> sweeps;
  for (const auto& [name, model] : kModels) {
    for (const Fault& fault : kFaults) sweeps.push_back({name, model, fault});
  }
  return sweeps;
}

class FaultSweep : public ::testing::TestWithParam<Sweep> {
 protected:
  void SetUp() override {
    work_.model = BundledModel(GetParam().model);
    work_.prompts = {7};
    work_.decode = 2;
    stock_ = RunStock(work_);
    ASSERT_TRUE(stock_.child.Ok()) << stock_.child.Describe();
  }

  EngineRun Run(uint64_t read, const char* spec) const {
    return RunStreamed(work_, 5 * kMiB, {{"HEADRACE_FAULT", fmt::format("after={},{}", read, spec)}});
  }

  // How many reads the run has: behind the last one nothing is tried again.
  uint64_t CountReads() const {
    const auto exists = [&](uint64_t read) {
      const EngineRun run = Run(read, "times=1,errno=EIO");
      EXPECT_TRUE(run.snapshot) << run.child.Describe();
      return run.snapshot && (*run.snapshot)->reads_retried.load() > 0;
    };
    uint64_t there = 0, beyond = 1;
    while (exists(beyond) && beyond < 100000) beyond *= 2;
    while (beyond - there > 1) {
      const uint64_t middle = (there + beyond) / 2;
      (exists(middle) ? there : beyond) = middle;
    }
    return beyond;
  }

  void Check(uint64_t read) const {
    SCOPED_TRACE(fmt::format("read {}", read));
    const EngineRun run = Run(read, GetParam().fault.spec);
    if (GetParam().fault.end == End::kRight) {
      EXPECT_TRUE(SameBytes(stock_, run));
      EXPECT_EQ(run.child.err, "") << run.child.Describe();
    } else if (run.child.Ok()) {
      // Read ahead for a pass that never came, or for experts that nobody chose: nobody needed it.
      EXPECT_TRUE(SameBytes(stock_, run));
      ++unneeded_;
    } else {
      EXPECT_TRUE(FailedCleanly(stock_, run));
      EXPECT_EQ(Lines(run.child.err, "headrace: ").size(), 1u) << run.child.Describe();
      EXPECT_EQ(Lines(run.child.err, GetParam().model).size(), 1u) << "the line does not name the file\n"
                                                                   << run.child.Describe();
    }
  }

  Work work_;
  EngineRun stock_;
  mutable uint64_t unneeded_ = 0;
};

std::string NameOf(const ::testing::TestParamInfo<Sweep>& sweep) {
  return std::string(sweep.param.name) + sweep.param.fault.name;
}

TEST_P(FaultSweep, SomeReads) {
  // The first, and some that are further and further apart; the last ones lie behind the end of the run, which changes
  // nothing.
  uint64_t checked = 0;
  for (const uint64_t read : {0, 1, 5, 17, 40}) {
    Check(read);
    ++checked;
  }
  EXPECT_LT(unneeded_, checked) << "no read that was needed failed";
}
INSTANTIATE_TEST_SUITE_P(Faults, FaultSweep, ::testing::ValuesIn(Sweeps()), NameOf);

class SlowFaultSweep : public FaultSweep {};
TEST_P(SlowFaultSweep, EveryRead) {
  const uint64_t reads = CountReads();
  ASSERT_GT(reads, 20u);
  RecordProperty("reads", static_cast<int>(reads));
  for (uint64_t read = 0; read < reads; ++read) Check(read);
  std::printf("%llu reads, of which %llu were not needed\n", static_cast<unsigned long long>(reads),
              static_cast<unsigned long long>(unneeded_));
  EXPECT_LT(unneeded_, reads / 2);
}
INSTANTIATE_TEST_SUITE_P(SlowFaults, SlowFaultSweep, ::testing::ValuesIn(Sweeps()), NameOf);

}  // namespace
}  // namespace headrace::testing
