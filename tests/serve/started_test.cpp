// A server that was started with signals ignored, or with a standard error that takes nothing.
#include <csignal>
#include <fstream>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class Started : public ServeTest {
 protected:
  // So many tokens that the engine's log fills a pipe several times.
  void ExpectAnswers() {
    for (int i = 0; i < 60; ++i) {
      const Answer answer = Post("/v1/completions", {{"prompt", "It is a truth " + std::to_string(i)},
                                                     {"max_tokens", 10},
                                                     {"ignore_eos", true},
                                                     {"cache_prompt", false}});
      ASSERT_EQ(answer.status, 200) << i << answer.text;
    }
  }
  static std::vector<std::string> Streaming() {
    return {CommandTest::Model(), "--flash-mode", "on", "--weights-ram", "4M", "--debug"};
  }
};

TEST_F(Started, IgnoredSignalsStayIgnored) {
  ASSERT_TRUE(StartServerThrough(std::string("trap '' HUP INT QUIT; ") + kExecServer, {"--models-dir", Models()}));
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT}) {
    server_->SignalCommand(signal);
    for (const pid_t child : Children()) kill(child, signal == SIGHUP ? SIGHUP : 0);
  }
  EXPECT_EQ(Complete(kDense, 1).status, 200);
  EXPECT_EQ(Complete(kMoe, 1).status, 200);
  const auto outcome = EndServer();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

TEST_F(Started, AStandardErrorThatIsFullOrClosed) {
  for (const char* stream : {"2>/dev/full", "2>&- <&-"}) {
    ASSERT_TRUE(StartServerThrough(kExecServer + std::string(stream), Streaming())) << stream;
    ExpectAnswers();
    EXPECT_EQ(EndServer().status, 0) << stream;
  }
}

// A pager that waits for a key, a terminal that was stopped with Ctrl-S.
TEST_F(Started, AStandardErrorThatNobodyReads) {
  environment_["PIPE"] = tree_.Path("pipe");
  ASSERT_TRUE(StartServerThrough(std::string("mkfifo $PIPE; exec 3<>$PIPE; ") + kExecServer + "2>&3", Streaming()));
  ExpectAnswers();
  EXPECT_EQ(EndServer().status, 0);
}

}  // namespace
}  // namespace headrace::serve
