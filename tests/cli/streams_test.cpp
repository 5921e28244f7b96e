// Descriptors 0 to 2 that are closed, full, or that nobody reads: what was asked for is done, and what cannot be
// written is said.
#include <csignal>

#include "command_runner.h"

namespace headrace::cli {
namespace {

class Streams : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
    environment_["MODEL"] = Model();
    environment_["W"] = tree_.Path("");
  }
  // An answer of a few tokens with these redirections.
  Outcome Answer(const std::string& options, const std::string& redirections) {
    return Shell("exec $HEADRACE run $MODEL " + options + " --raw -p 'It is a truth' -n 4 --temp 0 " + redirections);
  }
};

constexpr const char* kStreaming = "--flash-mode on --weights-ram 4M";
constexpr const char* kWays[] = {kStreaming, "--flash-mode auto", "--flash-mode on --weights-ram 4M --debug"};

TEST_F(Streams, AStandardErrorThatTakesNothingLosesNoAnswer) {
  for (const char* way : kWays) {
    for (const char* error : {"2>&-", "2>/dev/full", "2>&- <&-"}) {
      const Outcome outcome = Answer(way, error);
      EXPECT_EQ(outcome.status, 0) << way << " " << error;
      EXPECT_TRUE(outcome.out.starts_with("It is a truth ")) << way << " " << error << ": " << outcome.out;
    }
  }
}

TEST_F(Streams, AReaderOfStandardErrorThatIsGoneLosesNoAnswer) {
  for (const char* way : kWays) {
    const Outcome outcome =
        Shell("mkfifo $W/p; (: <$W/p) & exec 3>$W/p; wait; $HEADRACE run $MODEL " + std::string(way) +
              " --raw -p 'It is a truth' -n 4 --temp 0 2>&3; status=$?; rm $W/p; exit $status");
    EXPECT_EQ(outcome.status, 0) << way;
    EXPECT_TRUE(outcome.out.starts_with("It is a truth ")) << way << ": " << outcome.out;
  }
}

TEST_F(Streams, AResultThatCannotBeWrittenIsAnError) {
  for (const char* command :
       {"run $MODEL --flash-mode on --weights-ram 4M --raw -p 'It is' -n 4", "run $MODEL --raw -p 'It is' -n 24",
        "plan $MODEL", "plan $MODEL --json", "completion bash", "--help", "top --json --once", "engine"}) {
    for (const auto& [redirection, reason] :
         {std::pair{">/dev/full", "No space left on device"}, {">&-", "Bad file descriptor"}}) {
      const Outcome outcome = Shell(std::string("exec $HEADRACE ") + command + " " + redirection);
      EXPECT_EQ(outcome.status, 1) << command << redirection;
      EXPECT_TRUE(Has(outcome.err, std::string("headrace: cannot write the result to standard output: ") + reason))
          << command << redirection << ": " << outcome.err;
    }
  }
}

TEST_F(Streams, AReaderOfTheResultThatHadEnoughIsNoError) {
  for (const char* command : {"run $MODEL --flash-mode on --weights-ram 4M -q --raw -p 'It is' -n 4",
                              "run $MODEL -q --raw -p 'It is' -n 4", "plan $MODEL --json", "completion bash"}) {
    const Outcome outcome = Shell(std::string("{ sleep 1; $HEADRACE ") + command +
                                  "; echo $? >$W/status; } | :; while [ ! -s $W/status ]; do sleep 0.1; done; "
                                  "status=$(cat $W/status); rm $W/status; exit $status");
    EXPECT_EQ(outcome.status, 128 + SIGPIPE) << command;
    EXPECT_EQ(outcome.err, "") << command;
  }
}

// As a program of Node.js leaves a pipe to those that it starts.
TEST_F(Streams, AStandardOutputThatWouldNotBlockGetsTheWholeResult) {
  const Outcome outcome = Shell(
      "python3 -c 'import os,subprocess,sys,time\n"
      "r,w=os.pipe(); os.set_blocking(w,False)\n"
      "os.write(w,b\"x\"*65000)\n"
      "p=subprocess.Popen([os.environ[\"HEADRACE\"],\"completion\",\"bash\"],stdout=w); os.close(w)\n"
      "time.sleep(1)\n"
      "n=0\n"
      "while True:\n"
      "  b=os.read(r,65536)\n"
      "  n+=len(b)\n"
      "  if not b: break\n"
      "print(n-65000)\n"
      "sys.exit(p.wait())'");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(std::stoul(outcome.out), Run({"completion", "bash"}).out.size());
}

// A child whose end is never reported because of how this process was started.
TEST_F(Streams, SignalsAsSomeProgramsLeaveThem) {
  const Outcome outcome =
      Shell("trap '' CHLD PIPE HUP; exec $HEADRACE run $MODEL --raw -p 'It is a truth' -n 4 --temp 0");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("It is a truth ")) << outcome.out;
}

}  // namespace
}  // namespace headrace::cli
