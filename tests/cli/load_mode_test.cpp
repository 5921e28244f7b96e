// Ways of loading that would copy the weights into memory: they stream all the same, or it is said that they do not and
// why.
#include "command_runner.h"

namespace headrace::cli {
namespace {

class LoadModes : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
  }
  static void ExpectStreamed(const Outcome& outcome, const std::string& words) {
    EXPECT_EQ(outcome.status, 0) << words << ": " << outcome.err;
    EXPECT_TRUE(Has(outcome.err, words + " is ignored")) << words << ": " << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "streamed per pass")) << words << ": " << outcome.err;
  }
};

TEST_F(LoadModes, RunStreamsAllTheSame) {
  for (const char* mode : {"none", "dio", "mlock"}) {
    const std::vector<std::string> run = {"run", Model(),        "-p", "It is",         "--raw", "-n",
                                          "2",   "--flash-mode", "on", "--weights-ram", "4M"};
    auto words = run;
    words.insert(words.end(), {"--", "--load-mode", mode});
    ExpectStreamed(Run(words), mode);
    environment_["LLAMA_ARG_LOAD_MODE"] = mode;
    ExpectStreamed(Run(run), mode);
    environment_.erase("LLAMA_ARG_LOAD_MODE");
  }
}

TEST_F(LoadModes, ExecStreamsAllTheSame) {
  for (const char* limit : {"--weights-ram 4M --flash-mode on", "--ram 35M"}) {
    environment_["MODEL"] = Model();
    const std::string command =
        std::string("$HEADRACE exec --stats ") + limit + " -- llama-completion -m $MODEL -p hi -n 2 -no-cnv -c 256 ";
    ExpectStreamed(Shell(command + "-lm none"), "none");
    ExpectStreamed(Shell("export LLAMA_ARG_LOAD_MODE=dio; " + command), "dio");
  }
}

TEST_F(LoadModes, AModelThatFitsIsLoadedAsAskedFor) {
  const Outcome outcome =
      Run({"run", Model(), "-p", "It is", "--raw", "-n", "2", "--ram", "4G", "--", "--load-mode", "none"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_FALSE(Has(outcome.err, "is ignored")) << outcome.err;
}

// A program whose arguments nobody understands: the library sees that the model was never mapped.
TEST_F(LoadModes, AProgramThatReadsTheModelIsTold) {
  environment_["MODEL"] = Model();
  const std::string program = tree_.File("program",
                                         "#!/bin/sh\nexec " HEADRACE_ENGINE_PREFIX
                                         "/usr/bin/llama-completion -m $MODEL -p hi -n 2 -no-cnv --load-mode none\n",
                                         true);
  const Outcome outcome = Run({"exec", "--flash-mode", "on", "--weights-ram", "4M", "--", program});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "was read into memory instead of mapped")) << outcome.err;
}

}  // namespace
}  // namespace headrace::cli
