// Two machines: network namespaces that a cable (veth) joins. Needs root, and the kernel's leave.
#include <unistd.h>

#include <cstdlib>

#include "worker_process.h"

namespace headrace::serve {
namespace {

using Words = std::vector<std::string>;

class TwoMachines : public WorkersTest {
 protected:
  void SetUp() override {
    WorkersTest::SetUp();
    if (IsSkipped()) return;
    if (geteuid() != 0) GTEST_SKIP() << "only root makes network namespaces";
    if (access(kIp, X_OK) != 0) GTEST_SKIP() << "no " << kIp << ": scripts/install-packages.sh test";
    here_ = "headrace-" + std::to_string(getpid()) + "-a";
    there_ = "headrace-" + std::to_string(getpid()) + "-b";
    if (!Ip("netns add " + here_) || !Ip("netns add " + there_))
      GTEST_SKIP() << "the kernel makes no network namespaces";
    ASSERT_TRUE(Ip("-n " + here_ + " link add cable type veth peer name cable netns " + there_));
    for (const auto& [space, address] : {std::pair{here_, "10.77.0.1/24"}, std::pair{there_, "10.77.0.2/24"}}) {
      ASSERT_TRUE(Ip("-n " + space + " addr add " + address + " dev cable"));
      ASSERT_TRUE(Ip("-n " + space + " link set cable up"));
    }
  }

  void TearDown() override {
    worker_process_.reset();
    if (!here_.empty()) Ip("netns del " + here_);
    if (!there_.empty()) Ip("netns del " + there_);
    WorkersTest::TearDown();
  }

  static constexpr const char *kIp = "/usr/sbin/ip", *kTc = "/usr/sbin/tc";
  static bool Ip(const std::string& words) {
    return std::system((std::string(kIp) + " " + words + " >/dev/null 2>&1").c_str()) == 0;
  }
  static Words In(const std::string& space) { return {kIp, "netns", "exec", space, HEADRACE_COMMAND}; }

  bool StartWorkerThere() {
    worker_process_ = std::make_unique<cli::RunningCommand>(
        In(there_) + Words{"worker", "--listen", "10.77.0.2", "--ram", "300M", "--threads", "1"}, environment_);
    const bool listens = worker_process_->WaitForOutput("10.77.0.2:50052\n");
    if (!listens) ADD_FAILURE() << worker_process_->Finish().err;
    return listens;
  }
  cli::Outcome RunHere(const Words& words) { return cli::RunningCommand(In(here_) + words, environment_).Finish(); }

  std::string here_, there_;
};

TEST_F(TwoMachines, GiveTheSameTokens) {
  const std::string plain = Plainly("32");
  ASSERT_TRUE(StartWorkerThere());
  const auto outcome = RunHere(AnswerWords("32") + Words{"--flash-mode", "on", "--workers", "10.77.0.2"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(cli::SameText(outcome.out, plain)) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "worker 10.77.0.2:50052: ")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "RPC0 (10.77.0.2:50052) has ")) << outcome.err;
}

// No connection is refused: nothing answers at all.
TEST_F(TwoMachines, AMachineThatIsOffIsLeftOut) {
  ASSERT_TRUE(StartWorkerThere());
  ASSERT_TRUE(Ip("-n " + there_ + " link set cable down"));
  const auto outcome = RunHere(AnswerWords("4") + Words{"--flash-mode", "on", "--workers", "10.77.0.2"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "worker 10.77.0.2:50052 cannot be reached")) << outcome.err;
}

// Eight megabits a second: what the worker holds is read from the disk long before.
TEST_F(TwoMachines, ASlowWayIsNotTaken) {
  ASSERT_TRUE(StartWorkerThere());
  if (std::system(
          (std::string(kTc) + " -n " + here_ + " qdisc add dev cable root tbf rate 8mbit burst 64kb latency 400ms")
              .c_str()) != 0)
    GTEST_SKIP() << "the kernel cannot limit a network's speed";
  const auto outcome = RunHere(AnswerWords("4") + Words{"--flash-mode", "on", "--workers", "10.77.0.2"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "for the disk that it replaces; it goes on without it")) << outcome.err;
  EXPECT_FALSE(Has(outcome.err, "RPC0")) << outcome.err;
}

// In the middle of an answer: the engine waits, its connection does not.
TEST_F(TwoMachines, ACableThatIsPulledEndsTheAnswerWithAnError) {
  ASSERT_TRUE(StartWorkerThere());
  cli::RunningCommand run(
      In(here_) + AnswerWords("450") + Words{"--flash-mode", "on", "--workers", "10.77.0.2", "--", "--ignore-eos"},
      environment_);
  ASSERT_TRUE(run.WaitForOutput(" "));
  ASSERT_TRUE(Ip("-n " + there_ + " link set cable down"));
  const auto outcome = run.Finish();
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "worker 10.77.0.2:50052 does not answer any more")) << outcome.err;
}

}  // namespace
}  // namespace headrace::serve
