// run and bench with the real engine and the bundled model.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "command_runner.h"

namespace headrace::cli {
namespace {

class RunCommand : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    ASSERT_EQ(Run({"engine"}).status, 0) << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
  }
  // On a disk: the temporary folder may lie in memory.
  std::string Folder() {
    std::filesystem::create_directories(folder_);
    return folder_;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  Outcome Generate(std::vector<std::string> options, const std::string& model = Model()) {
    std::vector<std::string> arguments = {"run", model, "-p", "It is a truth", "-n", "24", "--temp", "0", "--raw"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return Run(arguments);
  }

 private:
  const std::string folder_ = std::string(HEADRACE_TEST_FOLDER) + "/kv." + std::to_string(getpid());
};

// Whoever starts it may have SIGTERM blocked.
TEST_F(RunCommand, NoEngineOutlivesOneThatIsKilled) {
  for (const auto& options : {std::vector<std::string>{"--ram", "4G"}, {"--flash-mode", "on", "--weights-ram", "4M"}}) {
    std::vector<std::string> words = {"run", Model(), "-p", "It is", "-n", "1500", "--raw"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"--", "--ignore-eos"});
    const BlockedSignal blocked(SIGTERM);
    RunningCommand command = Start(words);
    ASSERT_TRUE(command.WaitForOutput(" "));
    const auto children = command.Children();
    ASSERT_EQ(children.size(), 1u);
    command.SignalCommand(SIGKILL);
    EXPECT_TRUE(Eventually([&] { return kill(children[0], 0) != 0; }));
    kill(children[0], SIGKILL);
  }
}

TEST_F(RunCommand, StreamedTextEqualsUnstreamedText) {
  const Outcome stock = Generate({"--flash-mode", "off"});
  ASSERT_EQ(stock.status, 0) << stock.err;
  EXPECT_TRUE(stock.out.starts_with("It is a truth ")) << stock.out;
  EXPECT_EQ(stock.out.find("\n\n"), std::string::npos) << "one line break at the end";
  EXPECT_EQ(stock.err, "") << "nothing streamed, nothing to say";
  for (const char* ram : {"1M", "4M", "9M"}) {
    const Outcome streamed = Generate({"--flash-mode", "on", "--weights-ram", ram, "--kernels", "repack"});
    ASSERT_EQ(streamed.status, 0) << streamed.err;
    EXPECT_TRUE(SameText(streamed.out, stock.out)) << ram;
    std::istringstream lines(streamed.err);
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) EXPECT_TRUE(line.starts_with("headrace: ")) << line;
    // Tests that run beside this one disturb it at times, which is said.
    EXPECT_EQ(count, Has(streamed.err, "other programs kept") ? 8 : 7) << streamed.err;
    EXPECT_TRUE(streamed.err.starts_with("headrace: weights stream, as --flash-mode on says: 11.1 MiB of weights"))
        << streamed.err;
    EXPECT_TRUE(Has(streamed.err, "streamed per pass")) << streamed.err;
    EXPECT_TRUE(Has(streamed.err, "tokens/s")) << streamed.err;
    EXPECT_TRUE(Has(streamed.err, "headrace: speculation: ")) << streamed.err;
    EXPECT_TRUE(Has(streamed.err, "headrace: 24 tokens in ")) << streamed.err;
  }
}

TEST_F(RunCommand, ADraftModelChangesNoText) {
  const std::vector<std::string> streaming = {"--flash-mode", "on", "--weights-ram", "9M", "--kernels", "plain"};
  auto with_draft = streaming;
  with_draft.insert(with_draft.end(), {"--draft", std::string(HEADRACE_SOURCE_DIR) + "/models/austen-draft-f16.gguf",
                                       "--draft-tokens", "3"});
  const Outcome plain = Generate(streaming), drafted = Generate(with_draft);
  ASSERT_EQ(drafted.status, 0) << drafted.err;
  EXPECT_EQ(drafted.out, plain.out);
  EXPECT_TRUE(Has(drafted.err, "austen-draft-f16.gguf drafts 3 tokens at a time")) << drafted.err;
  EXPECT_TRUE(Has(drafted.err, "drafted tokens were accepted")) << drafted.err;
}

// The width shows in the buffers of the computation.
TEST_F(RunCommand, PlanForetellsWithTheWidthOfAPromptsPasses) {
  std::string text;
  for (int i = 0; i < 24; ++i)
    text += "It is a truth universally acknowledged, that a single man must be in want of a wife, and so on. ";
  const std::vector<std::string> streaming = {"--flash-mode", "on", "--weights-ram", "4M"};
  std::vector<std::string> words = {"run", Model(), "-f",    tree_.File("prompt.txt", text),
                                    "-n",  "1",     "--raw", "--debug"};
  words.insert(words.end(), streaming.begin(), streaming.end());
  const Outcome run = Run(words);
  ASSERT_EQ(run.status, 0) << run.err;
  const size_t at = run.err.find(" -ub ");
  ASSERT_NE(at, std::string::npos) << run.err;
  const auto buffers = [&](const std::vector<std::string>& more) {
    std::vector<std::string> plan = {"plan", Model(), "--json"};
    plan.insert(plan.end(), streaming.begin(), streaming.end());
    plan.insert(plan.end(), more.begin(), more.end());
    return nlohmann::json::parse(Run(plan).out, nullptr, false)["memory"]["compute_bytes"];
  };
  EXPECT_EQ(buffers({}), buffers({"--", "-ub", std::to_string(std::atoi(run.err.c_str() + at + 5))}));
}

// What a mixture's routers chose is known in the next run: kept as counts, and said by plan.
TEST_F(RunCommand, ExpertsThatWereChosenAreKnownInTheNextRun) {
  const std::string mixture = std::string(HEADRACE_SOURCE_DIR) + "/models/austen-moe-q4_0.gguf";
  const std::vector<std::string> streaming = {"--flash-mode", "on", "--weights-ram", "8M"};
  const auto plan = [&] {
    std::vector<std::string> words = {"plan", mixture};
    words.insert(words.end(), streaming.begin(), streaming.end());
    return Run(words).out;
  };
  EXPECT_FALSE(Has(plan(), "as popular as in earlier runs"));
  std::vector<std::string> words = {"run", mixture, "-p", "It is a truth", "-n", "24", "--raw"};
  words.insert(words.end(), streaming.begin(), streaming.end());
  const Outcome run = Run(words);
  ASSERT_EQ(run.status, 0) << run.err;
  std::ifstream file(tree_.Path("home/.cache/headrace/speculation.json"));
  const auto learned = nlohmann::json::parse(file, nullptr, false);
  ASSERT_EQ(learned["choices"].size(), 1u) << learned;
  const auto& choices = learned["choices"].front();
  EXPECT_GT(choices["again"].get<double>(), 0);
  EXPECT_LT(choices["again"].get<double>(), choices["choices"].get<double>());
  if (const std::string text = plan(); Has(text, "experts are")) {
    EXPECT_TRUE(Has(text, "if experts are as popular as in earlier runs")) << text;
  }
}

// One that llama-server has not.
TEST_F(RunCommand, AnOptionOfLlamaCompletionIsLeftToIt) {
  const std::vector<std::string> streaming = {"--weights-ram", "4M", "--kernels", "repack", "--speculate", "off"};
  auto own = streaming;
  own.insert(own.end(), {"--debug", "--", "--no-display-prompt"});
  const Outcome server = Generate(streaming), completion = Generate(own);
  ASSERT_EQ(completion.status, 0) << completion.err;
  EXPECT_TRUE(
      Has(completion.err, "llama-server cannot answer: it does not know --no-display-prompt; llama-completion does"))
      << completion.err;
  EXPECT_TRUE(SameText("It is a truth" + completion.out, server.out)) << completion.out << server.out;
}

TEST_F(RunCommand, AFailedReadEndsTheAnswerWithItsMessage) {
  environment_["HEADRACE_FAULT"] = "after=40,errno=EIO";
  const Outcome outcome = Generate({"--weights-ram", "4M"});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "headrace: ")) << outcome.err;
  EXPECT_FALSE(Has(outcome.out, "truth ")) << outcome.out;
}

TEST_F(RunCommand, APromptThatIsTooLongIsRefused) {
  std::string prompt;
  for (int i = 0; i < 200; ++i) prompt += "It is a truth ";
  const Outcome outcome = Run({"run", Model(), "-p", prompt, "--raw", "-c", "256", "--weights-ram", "4M"});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "exceeds the available context size")) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

// The context of 512 tokens needs 3 MiB in 6 layers.
TEST_F(RunCommand, KvCacheInAFile) {
  std::vector<std::string> options = {"-c",   "512",      "--kernels", "repack",       "--kv-ram",
                                      "600K", "--kv-dir", Folder(),    "--flash-mode", "off"};
  const Outcome stock = Generate({"-c", "512", "--flash-mode", "off"});
  const Outcome alone = Generate(options);
  options.back() = "on";
  options.insert(options.end(), {"--weights-ram", "4M"});
  const Outcome streaming = Generate(options);
  for (const Outcome* outcome : {&alone, &streaming}) {
    ASSERT_EQ(outcome->status, 0) << outcome->err;
    EXPECT_TRUE(SameText(outcome->out, stock.out)) << outcome->out;
    EXPECT_TRUE(Has(outcome->err, "KV cache 600 KiB (in memory; 3.00 MiB in a file)")) << outcome->err;
    EXPECT_TRUE(Has(outcome->err, "KV cache in a file with 600 KiB of memory")) << outcome->err;
  }
}

// The first before anything is loaded.
TEST_F(RunCommand, KvCacheThatCannotBeKept) {
  std::vector<std::string> options = {"-c", "512", "--kv-dir", Folder(), "--kv-ram", "500K"};
  Outcome refused = Generate(options);
  EXPECT_NE(refused.status, 0);
  EXPECT_TRUE(Has(refused.err, "give at least --kv-ram 512K")) << refused.err;
  EXPECT_EQ(refused.out, "");
  options.back() = "512K";
  options.insert(options.end(), {"--kv-disk-max", "2M"});
  refused = Generate(options);
  EXPECT_NE(refused.status, 0);
  EXPECT_TRUE(Has(refused.err, "--kv-disk-max allows 2.00 MiB")) << refused.err;
  EXPECT_EQ(refused.out, "");
}

using SlowRunCommand = RunCommand;

// llama-completion's own file for a prompt, with weights that stream and a KV cache in a file.
TEST_F(SlowRunCommand, PromptCachesOfTheEngine) {
  const std::string cache = Folder() + "/prompt.cache";
  const std::vector<std::string> streaming = {"-c",       "512",    "--kernels",    "repack", "--kv-ram",      "600K",
                                              "--kv-dir", Folder(), "--flash-mode", "on",     "--weights-ram", "4M"};
  const std::vector<std::string> file = {"--", "--prompt-cache", cache, "--prompt-cache-all"};
  auto options = streaming;
  options.insert(options.end(), file.begin(), file.end());
  const Outcome first = Generate(options);
  ASSERT_EQ(first.status, 0) << first.err;
  ASSERT_TRUE(std::filesystem::exists(cache)) << first.err;
  const Outcome second = Generate(options);
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_TRUE(SameText(second.out, first.out));
  // Saved under headrace, used without it.
  std::vector<std::string> stock = {"-c", "512", "--flash-mode", "off"};
  stock.insert(stock.end(), file.begin(), file.end());
  EXPECT_TRUE(SameText(Generate(stock).out, first.out));
}

TEST_F(RunCommand, ThePromptMayFollowTheModel) {
  const std::vector<std::string> settings = {"--raw", "-n",           "8",  "--temp", "0", "--weights-ram",
                                             "4M",    "--flash-mode", "on", "--quiet"};
  const auto answer = [&](std::vector<std::string> words) {
    words.insert(words.end(), settings.begin(), settings.end());
    return Run(words).out;
  };
  const std::string text = answer({"run", Model(), "Elizabeth was"});
  EXPECT_TRUE(text.starts_with("Elizabeth was")) << text;
  EXPECT_EQ(text, answer({"run", Model(), "-p", "Elizabeth was"}));
}

TEST_F(RunCommand, ExecSaysNothingWhenItIsToBeQuiet) {
  const std::vector<std::string> words = {"--weights-ram",
                                          "4M",
                                          "--flash-mode",
                                          "on",
                                          "--stats",
                                          "--",
                                          "llama-bench",
                                          "-m",
                                          Model(),
                                          "-p",
                                          "0",
                                          "-n",
                                          "1",
                                          "-r",
                                          "1"};
  std::vector<std::string> loud = words, quiet = words;
  loud.insert(loud.begin(), "exec");
  quiet.insert(quiet.begin(), {"exec", "--quiet"});
  EXPECT_TRUE(Has(Run(loud).err, "headrace: "));
  EXPECT_FALSE(Has(Run(quiet).err, "headrace: "));
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
  const Outcome outcome =
      Run({"run", Model(), "-p", "It is a truth", "-n", "8", "--temp", "0", "--weights-ram", "4M", "-q"});
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
  for (const char* part :
       {"exceed 4.00 MiB for weights (--weights-ram); weights get 4.00 MiB", "llama-server -m", "--load-mode mmap"}) {
    EXPECT_TRUE(Has(outcome.err, part)) << part << "\n" << outcome.err;
  }
}

TEST_F(RunCommand, PromptFromAFile) {
  const Outcome outcome =
      Run({"run", Model(), "-f", tree_.File("prompt.txt", "It is a truth"), "-n", "4", "--raw", "-q"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("It is a truth")) << outcome.out;
}

TEST_F(RunCommand, CtrlCEndsTheGeneration) {
  for (const int signal : {SIGINT, SIGTERM}) {
    environment_["XDG_RUNTIME_DIR"] = Folder();
    RunningCommand command = Start({"run", Model(), "-p", "It is a truth", "-n", "-1", "--temp", "0", "--raw",
                                    "--weights-ram", "4M", "--", "--ignore-eos", "--context-shift"});
    ASSERT_TRUE(command.WaitForOutput("It is a truth "));
    signal == SIGINT ? command.SignalGroup(signal) : command.SignalCommand(signal);
    EXPECT_EQ(command.Finish().status, 128 + signal);
    EXPECT_TRUE(std::filesystem::is_empty(Folder())) << "the folder of the socket is gone";
  }
}

TEST_F(RunCommand, AClosedPipeEndsIt) {
  const Outcome outcome =
      Shell("\"$HEADRACE\" run '" + Model() +
            "' -p 'It is a truth' -n -1 --raw --weights-ram 4M -q -- --ignore-eos --context-shift | head -c 13");
  EXPECT_EQ(outcome.out, "It is a truth");
}

TEST_F(RunCommand, ExecFindsTheEnginesPrograms) {
  const Outcome outcome = Run({"exec", "--weights-ram", "4M", "--stats", "--", "llama-completion", "-m", Model(), "-p",
                               "It is a truth", "-n", "4", "-no-cnv", "--temp", "0"});
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
