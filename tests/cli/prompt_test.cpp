// Where the prompt of a run comes from, and the names of its files.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "command_runner.h"

namespace headrace::cli {
namespace {

class Prompts : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
    environment_["MODEL"] = Model();
    environment_["PROMPT"] = tree_.File("prompt.txt", "It is a truth\n");
  }
  // `words` after the model, through a shell; by llama-server and by llama-completion.
  Outcome Answer(const std::string& before, bool streams, const std::string& words) {
    return Shell(before + "$HEADRACE run $MODEL " +
                 (streams ? "--flash-mode on --weights-ram 4M" : "--flash-mode off") + " --raw -n 4 --temp 0 -q " +
                 words);
  }
};

TEST_F(Prompts, FromStandardInputAndPipes) {
  for (const bool streams : {true, false}) {
    const Outcome plain = Answer("", streams, "-f $PROMPT");
    ASSERT_EQ(plain.status, 0) << plain.err;
    ASSERT_TRUE(plain.out.starts_with("It is a truth ")) << plain.out;
    for (const auto& [before, file] : {std::pair{"cat $PROMPT | ", "-f -"},
                                       {"cat $PROMPT | ", "-f /dev/stdin"},
                                       {"", "-f - <$PROMPT"},
                                       {"cat $PROMPT | { exec 7<&0; ", "-f /dev/fd/7; }"}}) {
      const Outcome outcome = Answer(before, streams, file);
      EXPECT_EQ(outcome.status, 0) << before << file << outcome.err;
      EXPECT_TRUE(SameText(outcome.out, plain.out)) << before << file;
    }
  }
}

TEST_F(Prompts, FilesThatCannotBeRead) {
  for (const auto& [file, reason] : {std::pair{tree_.Path("absent"), "No such file"},
                                     {tree_.Path(""), "Is a directory"},
                                     {std::string("/dev/zero"), "longer than 256 MiB"}}) {
    ExpectError({"run", Model(), "-f", file}, 2, reason);
    ExpectError({"run", Model(), "-f", file, "--flash-mode", "on", "--weights-ram", "4M"}, 2, reason);
  }
}

TEST_F(Prompts, OneOfThreeMegabytesGetsTheUsualLine) {
  std::string text;
  while (text.size() < 3'000'000) text += "It is a truth universally acknowledged\n";
  const Outcome outcome = Run({"run", Model(), "-f", tree_.File("long.txt", text), "--raw", "-n", "1", "--weights-ram",
                               "4M", "--flash-mode", "on"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(Has(outcome.err, "exceeds the available context size")) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

TEST_F(Prompts, EmptyOnes) {
  for (const bool streams : {true, false}) {
    for (const char* words : {"-p ''", "-f /dev/null"}) {
      const Outcome outcome = Answer("", streams, words);
      EXPECT_TRUE(outcome.status == 0 || !outcome.err.empty()) << words << " says nothing, status " << outcome.status;
    }
  }
}

// Numbers are checked before anything is started.
TEST_F(Prompts, NumbersThatAreNone) {
  for (const char* option : {"--predict", "--ctx-size", "--threads", "--seed", "--temp"}) {
    ExpectError({"run", Model(), "-p", "x", option, "many"}, 2, option);
    if (std::string(option) != "--temp") ExpectError({"run", Model(), "-p", "x", option, "1.5"}, 2, option);
  }
  ExpectError({"plan", Model(), "-c", "many"}, 2, "--ctx-size");
  ExpectError({"run", Model(), "-p", "x", "-c", "-5"}, 2, "--ctx-size");
  ExpectError({"run", Model(), "-p", "x", "-c", "99999999999999999999"}, 2, "--ctx-size");
}

TEST_F(Prompts, AContextOfZeroIsTheModelsOwn) {
  const Outcome run =
      Run({"run", Model(), "-p", "It is", "--raw", "-n", "2", "-c", "0", "--flash-mode", "on", "--weights-ram", "4M"});
  EXPECT_EQ(run.status, 0) << run.err;
  const Outcome zero = Run({"plan", Model(), "-c", "0"});
  EXPECT_EQ(zero.status, 0) << zero.err;
  EXPECT_TRUE(Has(zero.out, "KV cache    12.0 MiB  and states, for 2048 tokens")) << zero.out;
  EXPECT_TRUE(Has(run.err, "KV cache 12.0 MiB")) << run.err;
}

// llama-server would take no more than what the model was trained with.
TEST_F(Prompts, LongerThanTheModelWasTrainedWith) {
  std::string text;
  for (int i = 0; i < 90; ++i)
    text +=
        "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of "
        "a wife. ";
  tree_.File("prompt.txt", text);
  const Outcome plain = Answer("", false, "-f $PROMPT -c 4096 -- -ub 512"),
                streamed = Answer("", true, "-f $PROMPT -c 4096 -- -ub 512");
  ASSERT_EQ(plain.status, 0) << plain.err;
  ASSERT_EQ(streamed.status, 0) << streamed.err;
  EXPECT_GT(plain.out.size(), text.size());
  EXPECT_TRUE(SameText(streamed.out, plain.out)) << streamed.out.substr(text.size());
}

TEST_F(Prompts, NamesOfFiles) {
  for (const std::string name :
       {"with, comma.gguf", "with \"quotes\".gguf", "mit Umläuten ü.gguf", "-dash.gguf", "no\xff\xfetext.gguf"}) {
    const std::string path = tree_.Path(name);
    std::filesystem::create_symlink(Model(), path);
    const Outcome run =
        Run({"run", path, "-p", "It is", "--raw", "-n", "2", "--flash-mode", "on", "--weights-ram", "4M"});
    EXPECT_EQ(run.status, 0) << name << run.err;
    const Outcome plan = Run({"plan", path, "--json"});
    EXPECT_TRUE(nlohmann::json::parse(plan.out, nullptr, false).is_object()) << name << plan.err << plan.out;
  }
}

}  // namespace
}  // namespace headrace::cli
