// headrace batch with a worker: the answers of one machine, and what is left of a batch whose worker dies.
#include "batch_runner.h"
#include "device_environment.h"
#include "worker_process.h"

namespace headrace::batch {
namespace {

using Words = std::vector<std::string>;
using serve::operator+;

class BatchWorkers : public BatchTest {
 protected:
  void SetUp() override {
    BatchTest::SetUp();
    const auto device = headrace::testing::RpcDevice();
    HEADRACE_NEEDS(device);
    for (const auto& [name, value] : device.environment) environment_[name] = value;
    worker_process_ = serve::StartWorkerProcess(environment_, {"--ram", "400M", "--no-cache"}, worker_);
    ASSERT_NE(worker_process_, nullptr);
  }

  // One request after the other in one place of the KV cache, and one kind of kernels: all texts are the same.
  static Words OneAtATime() { return {"--slots", "1", "--kernels", "plain", "-t", "1", "--ram", "600M"}; }
  Words WithWorker() const { return Words{"--flash-mode", "on", "--workers", worker_}; }

  std::string worker_;
  std::unique_ptr<cli::RunningCommand> worker_process_;
};

TEST_F(BatchWorkers, GiveTheSameAnswers) {
  WriteRequests(Completions(8, 40));
  const auto alone = Batch(OneAtATime() + Words{"--flash-mode", "off", "--", "--no-repack"});
  ASSERT_EQ(alone.status, 0) << alone.err;
  const auto expected = Texts();
  ASSERT_EQ(expected.size(), 8u);
  // All layers there; the last three there, the others stream here.
  for (const Words& more : {Words{}, Words{"--", "-ngl", "4"}}) {
    const auto outcome = Batch(OneAtATime() + WithWorker() + Words{"--overwrite"} + more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "worker " + worker_ + ": ")) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "RPC0 (" + worker_ + ") has ")) << outcome.err;
    EXPECT_EQ(Texts(), expected) << outcome.err;
  }
}

TEST_F(BatchWorkers, WhatIsFinishedStaysWhenAWorkerDies) {
  constexpr int kCount = 12;
  WriteRequests(Completions(kCount, 60));
  const Words words = Words{"--slots", "2"} + WithWorker();
  auto batch = Start(Command(words));
  ASSERT_TRUE(Eventually([&] { return Lines() >= 3; })) << ResultsText();
  worker_process_->SignalGroup(SIGKILL);
  const auto died = batch.Finish();
  EXPECT_EQ(died.status, 1) << died.err;
  const auto before = ResultsById();
  EXPECT_LT(before.size(), size_t{kCount});
  EXPECT_TRUE(Has(died.err, "worker " + worker_ + " does not answer any more")) << died.err;
  EXPECT_TRUE(Has(died.err, std::to_string(before.size()) + " of 12 requests have a result in ")) << died.err;
  EXPECT_TRUE(Has(died.err, "the same command answers the rest")) << died.err;

  const auto again = Batch(words);
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_TRUE(Has(again.err, "worker " + worker_ + " cannot be reached")) << again.err;
  EXPECT_TRUE(Has(again.err, std::to_string(before.size()) + " were done before")) << again.err;
  const auto after = ResultsById();
  for (const auto& [id, result] : before) EXPECT_EQ(after.at(id), result) << "not done twice";
  ExpectAllAnswered(kCount);
}

}  // namespace
}  // namespace headrace::batch
