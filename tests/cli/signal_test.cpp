// Ctrl-C, termination and death of the program under the command.
#include <csignal>
#include <filesystem>

#include "command_runner.h"

namespace headrace::cli {
namespace {

class Signals : public CommandTest {
 protected:
  // A program that says where its snapshot is, and that it runs.
  static std::vector<std::string> Sleeper(const std::string& traps) {
    return {"exec", "--", "sh", "-c",
            traps + "echo \"snapshot=$HEADRACE_SNAPSHOT=\"; echo ready; while :; do sleep 0.1; done"};
  }
  static std::string SnapshotPath(const Outcome& outcome) {
    const size_t begin = outcome.out.find("snapshot=") + 9;
    return outcome.out.substr(begin, outcome.out.find('=', begin) - begin);
  }
  // The snapshot file is gone; the program named one.
  static void ExpectNoSnapshot(const Outcome& outcome) {
    const std::string path = SnapshotPath(outcome);
    EXPECT_FALSE(path.empty()) << outcome.out;
    EXPECT_FALSE(std::filesystem::exists(path)) << path;
  }
};

TEST_F(Signals, CtrlCReachesTheProgramAndIsWaitedFor) {
  RunningCommand command = Start(Sleeper("trap 'sleep 0.3; echo cleaned; exit 130' INT; "));
  ASSERT_TRUE(command.WaitForOutput("ready"));
  command.SignalGroup(SIGINT);
  const Outcome outcome = command.Finish();
  EXPECT_EQ(outcome.status, 130);
  EXPECT_TRUE(Has(outcome.out, "cleaned")) << outcome.out;
  ExpectNoSnapshot(outcome);
}

TEST_F(Signals, CtrlCOnAProgramThatDoesNotCatchIt) {
  RunningCommand command = Start(Sleeper(""));
  ASSERT_TRUE(command.WaitForOutput("ready"));
  command.SignalGroup(SIGINT);
  const Outcome outcome = command.Finish();
  EXPECT_EQ(outcome.status, 130);
  EXPECT_TRUE(Has(outcome.err, "headrace: sh was interrupted")) << outcome.err;
  ExpectNoSnapshot(outcome);
}

TEST_F(Signals, ASignalToTheCommandAloneIsPassedOn) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    RunningCommand command = Start(Sleeper("trap 'exit 21' TERM; trap 'exit 22' INT; trap 'exit 23' HUP; "));
    ASSERT_TRUE(command.WaitForOutput("ready"));
    command.SignalCommand(signal);
    const Outcome outcome = command.Finish();
    EXPECT_EQ(outcome.status, signal == SIGTERM ? 21 : signal == SIGINT ? 22 : 23);
    ExpectNoSnapshot(outcome);
  }
}

TEST_F(Signals, AKilledProgramNamesMemory) {
  const Outcome outcome = Run({"exec", "--", "sh", "-c", "kill -9 $$"});
  EXPECT_EQ(outcome.status, 137);
  EXPECT_TRUE(Has(outcome.err, "memory")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "cgroup")) << outcome.err;
}

TEST_F(Signals, TheProgramDoesNotOutliveAKilledCommand) {
  RunningCommand command = Start(Sleeper("trap 'echo asked to end; exit 1' TERM; "));
  ASSERT_TRUE(command.WaitForOutput("ready"));
  command.SignalCommand(SIGKILL);
  EXPECT_TRUE(command.WaitForOutput("asked to end"));
  const Outcome outcome = command.Finish();
  EXPECT_EQ(outcome.status, 137);
  std::filesystem::remove(SnapshotPath(outcome));  // nobody was left to do it
}

}  // namespace
}  // namespace headrace::cli
