// A batch that is interrupted, killed, starved of disk, or whose engine dies: each request has one result in the end.
#include <sys/mount.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "batch_runner.h"

namespace headrace::batch {
namespace {

namespace fs = std::filesystem;

class BatchFailures : public BatchTest {
 protected:
  // Many short ones, two at a time: some are done soon, and others are under way then.
  static constexpr int kCount = 12;
  void SetUp() override {
    BatchTest::SetUp();
    WriteRequests(Completions(kCount, 40));
  }
  static std::vector<std::string> TwoAtATime() { return {"--slots", "2"}; }
};

TEST_F(BatchFailures, KilledAndResumed) {
  pid_t engine = 0;
  {
    auto command = Start(Command(TwoAtATime()));
    ASSERT_TRUE(Eventually([&] { return Lines() >= 3; })) << ResultsText();
    const auto children = command.Children();
    ASSERT_EQ(children.size(), 1u);
    engine = children[0];
    command.SignalCommand(SIGKILL);
    EXPECT_EQ(command.Finish().status, 137);
  }
  EXPECT_TRUE(Eventually([&] { return kill(engine, 0) != 0; })) << "the engine does not outlive it";
  ASSERT_LT(Lines(), size_t{kCount});
  const auto before = ResultsById();
  // As if the kill had come in the middle of a write.
  std::ofstream(ResultsPath(), std::ios::app) << R"({"id":"batch_req_9","custom_id":"r8","respon)";
  const auto outcome = Batch(TwoAtATime());
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, std::to_string(before.size()) + " were done before")) << outcome.err;
  const auto after = ResultsById();
  for (const auto& [id, result] : before) EXPECT_EQ(after.at(id), result) << "not done twice";
  ExpectAllAnswered(kCount);
}

// What a power loss leaves of results that were not on the disk yet: zeros, in the middle and at the end.
TEST_F(BatchFailures, PowerLossAndResumed) {
  {
    auto command = Start(Command(TwoAtATime()));
    ASSERT_TRUE(Eventually([&] { return Lines() >= 4; })) << ResultsText();
    command.SignalCommand(SIGKILL);
    EXPECT_EQ(command.Finish().status, 137);
  }
  auto before = ResultsById();
  std::string text = ResultsText();
  const size_t second = text.find('\n') + 1, third = text.find('\n', second);
  before.erase(Json::parse(text.substr(second, third - second))["custom_id"].get<std::string>());
  std::fill(text.begin() + static_cast<ptrdiff_t>(second) + 30, text.begin() + static_cast<ptrdiff_t>(third) - 5, '\0');
  text.append(8192, '\0');
  std::ofstream(ResultsPath(), std::ios::binary) << text;
  const auto outcome = Batch(TwoAtATime());
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "2 of the results")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, std::to_string(before.size()) + " were done before")) << outcome.err;
  const auto after = ResultsById();
  for (const auto& [id, result] : before) EXPECT_EQ(after.at(id), result) << "not done twice";
  ExpectAllAnswered(kCount);
}

TEST_F(BatchFailures, InterruptedAndResumed) {
  for (const int signal : {SIGINT, SIGTERM}) {
    fs::remove(ResultsPath());
    auto command = Start(Command(TwoAtATime()));
    ASSERT_TRUE(Eventually([&] { return Lines() >= 2; }));
    const auto children = command.Children();
    command.SignalGroup(signal);
    const auto outcome = command.Finish();
    EXPECT_EQ(outcome.status, 128 + signal) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "the same command answers the rest")) << outcome.err;
    for (const pid_t child : children) EXPECT_NE(kill(child, 0), 0) << "its engine is gone";
    EXPECT_LT(Results().size(), size_t{kCount});
    EXPECT_GE(Results().size(), 2u);
  }
  ASSERT_EQ(Batch(TwoAtATime()).status, 0);
  ExpectAllAnswered(kCount);
}

// As under nohup, or as a job that a script started in the background.
TEST_F(BatchFailures, SignalsThatWereIgnoredAtItsStartDoNotEndIt) {
  std::string arguments;
  for (const std::string& word : Command(TwoAtATime())) arguments += " '" + word + "'";
  cli::RunningCommand command({"/bin/sh", "-c", "trap '' HUP INT QUIT; exec $HEADRACE" + arguments}, environment_);
  ASSERT_TRUE(Eventually([&] { return Lines() >= 2; }));
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT}) command.SignalGroup(signal);
  const auto outcome = command.Finish();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  ExpectAllAnswered(kCount);
}

TEST_F(BatchFailures, AStandardErrorThatTakesNothing) {
  std::string arguments;
  for (const std::string& word : Command(TwoAtATime())) arguments += " '" + word + "'";
  WriteRequests(Completions(3, 4));
  for (const char* streams : {"2>/dev/full", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"}) {
    fs::remove(ResultsPath());
    const auto outcome = Shell("exec $HEADRACE" + arguments + " --flash-mode on --weights-ram 4M --debug " + streams);
    EXPECT_EQ(outcome.status, 0) << streams;
    ExpectAllAnswered(3);
  }
}

TEST_F(BatchFailures, TheEngineDies) {
  auto command = Start(Command(TwoAtATime()));
  for (const size_t lines : {2, 5}) {
    ASSERT_TRUE(Eventually([&] { return Lines() >= lines; })) << ResultsText();
    const auto children = command.Children();
    ASSERT_EQ(children.size(), 1u);
    kill(children[0], SIGKILL);
  }
  const auto outcome = command.Finish();
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "headrace starts it again")) << outcome.err;
  ExpectAllAnswered(kCount);
}

TEST_F(BatchFailures, AnEngineThatCannotReadItsWeights) {
  environment_["HEADRACE_FAULT"] = "errno=EIO,after=40";
  const auto outcome = Batch({"--flash-mode", "on", "--weights-ram", "4M", "--slots", "2"});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "the same command answers the rest")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "Input/output error")) << outcome.err;
  environment_.erase("HEADRACE_FAULT");
  ASSERT_EQ(Batch({"--retry-errors"}).status, 0);
  ExpectAllAnswered(kCount);
}

TEST_F(BatchFailures, ReadsThatFailForAWhile) {
  WriteRequests(Completions(4, 10));
  environment_["HEADRACE_FAULT"] = "errno=EIO,after=40,times=12";
  const auto outcome = Batch({"--flash-mode", "on", "--weights-ram", "4M", "--slots", "2"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "cannot read")) << "no pass failed: " << outcome.err;
  ExpectAllAnswered(4);
}

TEST_F(BatchFailures, AFullDisk) {
  const std::string disk = tree_.Path("disk");
  fs::create_directory(disk);
  if (geteuid() != 0 || mount("none", disk.c_str(), "tmpfs", 0, "size=64K") != 0)
    GTEST_SKIP() << "needs root to mount a file system";
  // Room for a few results.
  std::ofstream(disk + "/rest", std::ios::binary) << std::string(56 << 10, 'x');
  const std::string results = disk + "/results.jsonl";
  const auto outcome = Batch({"--slots", "2", "-o", results});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "No space left on device")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "the same command answers the rest")) << outcome.err;
  fs::copy_file(results, ResultsPath());
  const auto before = ResultsById();
  EXPECT_GT(before.size(), 0u);
  EXPECT_LT(before.size(), size_t{kCount});
  fs::remove(disk + "/rest");
  const auto again = Batch({"--slots", "2", "-o", results});
  EXPECT_EQ(again.status, 0) << again.err;
  fs::copy_file(results, ResultsPath(), fs::copy_options::overwrite_existing);
  umount(disk.c_str());
  ExpectAllAnswered(kCount);
  for (const auto& [id, result] : before) EXPECT_EQ(ResultsById().at(id), result) << "not done twice";
}

TEST_F(BatchFailures, TwoDoNotWriteIntoOneFile) {
  auto command = Start(Command(TwoAtATime()));
  ASSERT_TRUE(Eventually([&] { return Lines() >= 1; }));
  ExpectError(Command({"--overwrite"}), 2, "another batch writes into");
  EXPECT_EQ(command.Finish().status, 0);
  ExpectAllAnswered(kCount);
}

// Requests that end the engine get their errors, also two in a row, and the others their answers.
TEST_F(BatchFailures, RequestsThatEndTheEngine) {
  // llama-server 0.7.0 reads grammars by calls in calls, until its stack is used up.
  constexpr size_t kDeep = 100'000;
  const std::string grammar = "root ::= " + std::string(kDeep, '(') + "\"a\"" + std::string(kDeep, ')');
  std::string killers;
  for (const char* id : {"k0", "k1"}) {
    Json killer = Completion(id, "It is", 4);
    killer["body"]["grammar"] = grammar;
    killers += killer.dump() + "\n";
  }
  WriteRequests(killers + Completions(4, 8));
  const auto outcome = Batch({"--slots", "2", "--flash-mode", "off"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_FALSE(Has(outcome.err, "try --flash-mode off")) << "nothing streamed: " << outcome.err;
  const auto results = ResultsById();
  ASSERT_EQ(results.size(), 6u);
  for (const char* id : {"k0", "k1"})
    EXPECT_EQ(results.at(id)["error"]["code"], "engine_crashed") << results.at(id).dump();
  for (const char* id : {"r0", "r1", "r2", "r3"})
    EXPECT_EQ(results.at(id)["response"]["status_code"], 200) << results.at(id).dump();
}

}  // namespace
}  // namespace headrace::batch
