// run and bench with the real engine and the bundled model.
#include <algorithm>
#include <csignal>
#include <sstream>

#include <nlohmann/json.hpp>

#include "command_runner.h"

namespace headrace::cli {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class RunCommand : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
  }
  Outcome Generate(std::vector<std::string> options, const std::string& model = Model()) {
    std::vector<std::string> arguments = {"run", model, "-p", "It is a truth", "-n", "24", "--temp", "0", "--raw"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return Run(arguments);
  }
};

TEST_F(RunCommand, StreamedTextEqualsUnstreamedText) {
  const Outcome stock = Generate({"--flash-mode", "off"});
  ASSERT_EQ(stock.status, 0) << stock.err;
  EXPECT_TRUE(stock.out.starts_with("It is a truth ")) << stock.out;
  EXPECT_EQ(stock.out.find("\n\n"), std::string::npos) << "one line break at the end";
  EXPECT_EQ(stock.err, "") << "nothing streamed, nothing to say";
  for (const char* ram : {"1M", "4M", "9M"}) {
    const Outcome streamed = Generate({"--flash-mode", "on", "--weights-ram", ram, "--kernels", "repack"});
    ASSERT_EQ(streamed.status, 0) << streamed.err;
    EXPECT_EQ(streamed.out, stock.out) << ram;
    std::istringstream lines(streamed.err);
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) EXPECT_TRUE(line.starts_with("headrace: ")) << line;
    EXPECT_EQ(count, 4) << streamed.err;
    EXPECT_TRUE(streamed.err.starts_with("headrace: weights stream, as --flash-mode on says: 11.1 MiB of weights")) << streamed.err;
    EXPECT_TRUE(Has(streamed.err, "streamed per pass")) << streamed.err;
    EXPECT_TRUE(Has(streamed.err, "tokens/s")) << streamed.err;
  }
}

TEST_F(RunCommand, QuietAndAutoWithAModelThatFits) {
  EXPECT_EQ(Generate({"--weights-ram", "4M", "--quiet"}).err, "");
  EXPECT_EQ(Generate({"--ram", "4G", "--quiet"}).err, "");
  const std::string said = Generate({"--ram", "4G"}).err;
  EXPECT_TRUE(said.starts_with("headrace: all in memory, nothing streams: 11.1 MiB of weights and ")) << said;
  EXPECT_TRUE(Has(said, "KV cache")) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

TEST_F(RunCommand, ChatTemplatePrintsTheAnswerAlone) {
  const Outcome outcome = Run({"run", Model(), "-p", "It is a truth", "-n", "8", "--temp", "0", "--weights-ram", "4M", "-q"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_FALSE(Has(outcome.out, "It is a truth")) << outcome.out;
  EXPECT_GT(outcome.out.size(), 8u);
}

TEST_F(RunCommand, EndOfTextMarkIsNotPrinted) {
  const Outcome outcome = Generate({"--weights-ram", "4M", "-q", "--", "--logit-bias", "0+100"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "It is a truth\n");
}

TEST_F(RunCommand, TheEnginesOwnErrorsAndStatusComeThrough) {
  const Outcome outcome = Generate({"--weights-ram", "4M", "--", "--no-such-option"});
  EXPECT_NE(outcome.status, 0);
  EXPECT_TRUE(Has(outcome.err, "no-such-option")) << outcome.err;
}

TEST_F(RunCommand, DebugSaysWhatWasDecided) {
  const Outcome outcome = Generate({"--weights-ram", "4M", "--debug"});
  EXPECT_EQ(outcome.status, 0);
  for (const char* part : {"exceed 4.00 MiB for weights (--weights-ram); weights get 4.00 MiB", "llama-completion -m", "--load-mode mmap"}) {
    EXPECT_TRUE(Has(outcome.err, part)) << part << "\n" << outcome.err;
  }
}

TEST_F(RunCommand, PromptFromAFile) {
  const Outcome outcome = Run({"run", Model(), "-f", tree_.File("prompt.txt", "It is a truth"), "-n", "4", "--raw", "-q"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("It is a truth")) << outcome.out;
}

TEST_F(RunCommand, CtrlCEndsTheGeneration) {
  RunningCommand command = Start({"run", Model(), "-p", "It is a truth", "-n", "-1", "--temp", "0", "--raw", "--weights-ram", "4M", "--", "--ignore-eos", "--context-shift"});
  ASSERT_TRUE(command.WaitForOutput("It is a truth "));
  command.SignalGroup(SIGINT);
  EXPECT_EQ(command.Finish().status, 130);
}

TEST_F(RunCommand, AClosedPipeEndsIt) {
  const Outcome outcome = Shell("\"$HEADRACE\" run '" + Model() + "' -p 'It is a truth' -n -1 --raw --weights-ram 4M -q -- --ignore-eos --context-shift | head -c 13");
  EXPECT_EQ(outcome.out, "It is a truth");
}

TEST_F(RunCommand, ExecFindsTheEnginesPrograms) {
  const Outcome outcome = Run({"exec", "--weights-ram", "4M", "--stats", "--", "llama-completion", "-m", Model(), "-p", "It is a truth", "-n", "4",
                               "-no-cnv", "--temp", "0"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("It is a truth")) << outcome.out;
  EXPECT_TRUE(Has(outcome.err, "streamed per pass")) << outcome.err;
}

TEST_F(RunCommand, BenchComparesWithTheDisk) {
  const Outcome outcome = Run({"bench", Model(), "--weights-ram", "4M", "-p", "8", "-n", "4", "-r", "1", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << outcome.out;
  EXPECT_TRUE(json["streamed"].get<bool>());
  EXPECT_GT(json["streamed_bytes_per_pass"].get<uint64_t>(), 0u);
  ASSERT_EQ(json["results"].size(), 2u);
  EXPECT_GT(json["results"][1]["limit_tokens_per_s"].get<double>(), 0);
}

}  // namespace
}  // namespace headrace::cli
