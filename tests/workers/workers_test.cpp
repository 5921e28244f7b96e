// Workers on this machine: the same tokens, a budget that holds, workers that are not there, and one that dies.
#include <filesystem>
#include <fstream>
#include <regex>

#include "base/size.h"
#include "worker_process.h"

namespace headrace::serve {
namespace {

using Words = std::vector<std::string>;

class Workers : public WorkersTest {};

TEST_F(Workers, GiveTheSameTokens) {
  const std::string plain = Plainly("48");
  ASSERT_FALSE(plain.empty());
  ASSERT_TRUE(StartWorker());
  // Everything there; a part of it there, the rest here; the same through a second worker.
  for (const Words& more : {Words{}, Words{"--", "-ngl", "4"}}) {
    const auto outcome = Ask(AnswerWords("48") + Words{"--flash-mode", "on", "--workers", worker_} + more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(cli::SameText(outcome.out, plain)) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "worker " + worker_ + ": ")) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "RPC0 (" + worker_ + ") has ")) << outcome.err;
  }
  const auto said = EndWorker();
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_TRUE(Has(said.err, "puts weights here")) << said.err;
  EXPECT_TRUE(Has(said.err, "has gone")) << said.err;
  EXPECT_TRUE(Has(said.err, "worker: ended")) << said.err;
}

TEST_F(Workers, AreMeasuredByBench) {
  const Words words = {"bench", CommandTest::Model(), "-p", "32", "-n", "8", "-r", "1", "-t",
                       "1",     "--flash-mode",       "on"};
  ASSERT_TRUE(StartWorker());
  const auto text = Run(words + Words{"--workers", worker_});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_TRUE(Has(text.out, "\nworker " + worker_ + ": ")) << text.out;
  EXPECT_TRUE(Has(text.out, " MiB of weights, KV cache ")) << text.out;
  EXPECT_TRUE(Has(text.out, "decode 8")) << text.out;
  // With a second one, which has less: what lies there is of both.
  std::string second;
  const auto process = StartWorkerProcess(environment_, {"--ram", "240M"}, second);
  ASSERT_NE(process, nullptr);
  const auto both = Run(words + Words{"--json", "--workers", worker_ + "," + second});
  EXPECT_EQ(both.status, 0) << both.err;
  const Json json = Json::parse(both.out, nullptr, false);
  ASSERT_TRUE(json.is_object() && json["workers"].size() == 2u) << both.err << both.out;
  EXPECT_EQ(json["workers"][0]["address"], worker_);
  EXPECT_EQ(json["workers"][1]["address"], second);
  for (const Json& worker : json["workers"]) EXPECT_GT(worker["weight_bytes"].get<uint64_t>(), 0u) << both.out;
  EXPECT_GT(json["results"][1]["tokens_per_s"].get<double>(), 0) << both.out;
}

// Each time a program of the engine is started, which some tenths of a second are for.
TEST_F(Workers, TheEngineIsAskedAboutAllOfThemOnce) {
  const std::string engine = tree_.Path("engine"), log = tree_.Path("asked");
  ASSERT_EQ(Shell("cp -as '" HEADRACE_ENGINE_PREFIX "' '" + engine + "'").status, 0);
  const std::string program = engine + "/usr/bin/llama-bench";
  std::filesystem::remove(program);
  tree_.File("engine/usr/bin/llama-bench",
             "#!/bin/sh\necho \"$*\" >>'" + log + "'\nexec '" HEADRACE_ENGINE_PREFIX "/usr/bin/llama-bench' \"$@\"\n",
             true);
  std::string second;
  ASSERT_TRUE(StartWorker());
  const auto process = StartWorkerProcess(environment_, {"--ram", "300M"}, second);
  ASSERT_NE(process, nullptr);
  const std::string nobody = "127.0.0.1:" + std::to_string(FreePort());
  const auto outcome = Run(AnswerWords("4") + Words{"--flash-mode", "on", "--engine", engine, "--workers",
                                                    worker_ + "," + nobody + "," + second});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "RPC0 (" + worker_ + ") has ")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "RPC1 (" + second + ") has ")) << outcome.err;
  std::ifstream lines(log);
  int asked = 0;
  for (std::string line; std::getline(lines, line);) asked += Has(line, "--list-devices");
  EXPECT_EQ(asked, 1);
}

// Each size of the plan is a part of what stands before it.
TEST_F(Workers, APlanCountsWhatIsThereOnlyOnce) {
  ASSERT_TRUE(StartWorker());
  const Words words = {"plan", CommandTest::Model(), "--ram", "600M", "--flash-mode", "on", "--workers", worker_};
  const auto plan = Run(words + Words{"--json"});
  ASSERT_EQ(plan.status, 0) << plan.err;
  const Json json = Json::parse(plan.out, nullptr, false);
  EXPECT_GT(json["memory"]["device_weight_bytes"].get<uint64_t>(), 0u) << plan.out;
  const auto text = Run(words);
  EXPECT_TRUE(Has(text.out, "those that stay here, and what goes to devices on its way")) << text.out;
  EXPECT_FALSE(Has(text.out, "MiB  of 1.")) << text.out;
}

// One is in the middle of a long answer, and another one has its own.
TEST_F(Workers, ManyClientsAtATime) {
  const std::string plain = Plainly("32");
  ASSERT_TRUE(StartWorker({"--ram", "500M"}));
  const Words there = {"--flash-mode", "on", "--workers", worker_};
  cli::RunningCommand first(Words{HEADRACE_COMMAND} + AnswerWords("450") + there + Words{"--", "--ignore-eos"},
                            environment_);
  ASSERT_TRUE(first.WaitForOutput(" "));
  first.SignalGroup(SIGSTOP);  // it answers no sooner than the other one has
  const auto second = Ask(AnswerWords("32") + there);
  first.SignalGroup(SIGCONT);
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_TRUE(cli::SameText(second.out, plain)) << second.err;
  EXPECT_TRUE(Has(second.err, "RPC0 (" + worker_ + ") has ")) << second.err;
  const auto outcome = first.Finish();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with(plain.substr(0, 60))) << outcome.out;
}

TEST_F(Workers, AreNotUsedForWhatFitsHere) {
  ASSERT_TRUE(StartWorker());
  const auto outcome = Run(AnswerWords("4") + Words{"--workers", worker_});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "the workers are not used: the model fits into memory here")) << outcome.err;
}

// What a client may ask for beyond the budget is refused to it; others and the worker live on.
TEST_F(Workers, RefuseWhatIsBeyondTheBudget) {
  ASSERT_TRUE(StartWorker());
  // The user's own options put more there than there is.
  const auto outcome =
      Run(AnswerWords("4") + Words{"--flash-mode", "on", "--workers", worker_, "--", "-ngl", "99", "-c", "131072"});
  EXPECT_NE(outcome.status, 0) << outcome.out;
  const auto small = Run(Words{"plan", CommandTest::Model(), "--ram", "600M", "--workers", worker_});
  EXPECT_EQ(small.status, 0) << small.err;
  EXPECT_TRUE(Has(small.err, "worker " + worker_ + ": ")) << "it has gone: " << small.err;
  const auto said = EndWorker();
  EXPECT_TRUE(std::regex_search(said.err, std::regex(R"(worker: refused [0-9.]+ [MG]iB to 127\.0\.0\.1:)")))
      << said.err;
  EXPECT_EQ(said.status, 0) << said.err;
}

TEST_F(Workers, ThatAreMissingAreLeftOut) {
  const std::string plain = Plainly("16"), nobody = "127.0.0.1:" + std::to_string(FreePort());
  ASSERT_TRUE(StartWorker());
  const auto outcome = Ask(AnswerWords("16") + Words{"--flash-mode", "on", "--workers", nobody + "," + worker_});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(cli::SameText(outcome.out, plain)) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "worker " + nobody + " cannot be reached (Connection refused)")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "RPC0 (" + worker_ + ") has ")) << outcome.err;
  const auto alone = Ask(AnswerWords("16") + Words{"--flash-mode", "on", "--workers", nobody});
  EXPECT_EQ(alone.status, 0) << alone.err;
  EXPECT_TRUE(cli::SameText(alone.out, plain)) << alone.err;
}

TEST_F(Workers, ThatDieEndTheAnswerWithAnError) {
  ASSERT_TRUE(StartWorker());
  cli::RunningCommand run(Words{HEADRACE_COMMAND} + AnswerWords("450") +
                              Words{"--flash-mode", "on", "--workers", worker_, "--", "--ignore-eos"},
                          environment_);
  ASSERT_TRUE(run.WaitForOutput(" "));
  KillWorker();
  const auto outcome = run.Finish();
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "the answer ended in the middle: worker " + worker_ + " does not answer any more"))
      << outcome.err;
}

TEST_F(Workers, ThatDieAreReplacedByThisMachineInServe) {
  ASSERT_TRUE(StartWorker());
  ASSERT_TRUE(
      StartServer({"--models-dir", Models(), "--flash-mode", "on", "--kernels", "plain", "--workers", worker_}));
  const Answer before = Complete(kDense);
  ASSERT_EQ(before.status, 200) << before.text;
  KillWorker();
  const Answer lost = Complete(kDense, 400);
  EXPECT_TRUE(Has(lost.Error(), "worker " + worker_ + " does not answer any more")) << lost.text;
  Answer after;
  EXPECT_TRUE(Eventually([&] { return (after = Complete(kDense)).status == 200; })) << after.text;
  ASSERT_EQ(after.status, 200);
  EXPECT_EQ(after.body["choices"][0]["text"], before.body["choices"][0]["text"]);
  const auto said = EndServer();
  EXPECT_TRUE(Has(said.err, "worker " + worker_ + " does not answer any more")) << said.err;
  EXPECT_TRUE(Has(said.err, "worker " + worker_ + " cannot be reached")) << said.err;
}

TEST_F(Workers, SayWhatIsWrong) {
  ExpectError({"worker", "--listen", "8.8.8.8"}, 2, "no private address");
  ExpectError({"worker", "--listen", "0.0.0.0"}, 2, "every network");
  ExpectError({"worker", "--ram", "8000G"}, 2, "more than there is");
  ExpectError(AnswerWords("4") + Words{"--workers", "::1"}, 2, "IPv6");
  // The engine without that library, wherever it lies.
  environment_.erase("GGML_BACKEND_PATH");
  const std::string engine = tree_.Path("engine");
  ASSERT_EQ(
      Shell("cp -a '" HEADRACE_ENGINE_PREFIX "' '" + engine + "' && find '" + engine + "' -name '*ggml-rpc*' -delete")
          .status,
      0);
  ExpectError(AnswerWords("4") + Words{"--engine", engine, "--workers", "127.0.0.1:1"}, 2, "has no RPC backend");
}

}  // namespace
}  // namespace headrace::serve
