// headrace exec with every way in which people start llama.cpp's programs.
#include <csignal>
#include <filesystem>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "command_runner.h"
#include "http_client.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr const char* kRepository = "someone/austen-GGUF";

class ExecTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
    environment_["HF_ENDPOINT"] = environment_["MODEL_ENDPOINT"] = "http://127.0.0.1:1/";  // nothing is downloaded
    for (const char* name : {"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "LLAMA_CACHE"})
      environment_.erase(name);
  }
  // The model as if llama.cpp had downloaded it from kRepository.
  void Download() {
    const std::string repository = "home/.cache/huggingface/hub/models--someone--austen-GGUF/", commit(40, 'a');
    tree_.File(repository + "refs/main", commit);
    const std::string blob = tree_.File(repository + "blobs/0123");
    fs::copy_file(Model(), blob, fs::copy_options::overwrite_existing);
    fs::create_directories(tree_.Path(repository + "snapshots/" + commit));
    fs::create_symlink("../../blobs/0123", tree_.Path(repository + "snapshots/" + commit + "/austen-dense-Q4_0.gguf"));
  }
  // False where the engine's programs are no libraries.
  bool HasOneForAll() {
    const std::string program = HEADRACE_ONE_FOR_ALL;
    if (program.empty()) return false;
    environment_["PATH"] = fs::path(program).parent_path().string() + ":" + environment_["PATH"];
    return true;
  }
  Outcome Exec(const Words& options, const Words& program) {
    Words words = {"exec", "--stats"};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("--");
    words.insert(words.end(), program.begin(), program.end());
    return Run(words);
  }
  static Words Completion(const Words& model) {
    Words words = {"llama-completion"};
    words.insert(words.end(), model.begin(), model.end());
    words.insert(words.end(), {"-p", "It is", "-n", "2", "-no-cnv", "-c", "256"});
    return words;
  }
  static void ExpectForetold(const Outcome& outcome) {
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "weights stream, ") && Has(outcome.err, "KV cache 1.00 MiB")) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "streamed per pass")) << outcome.err;
  }
  static const Words kSmall, kStreaming;
};
const Words ExecTest::kSmall = {"--ram", "36M"}, ExecTest::kStreaming = {"--flash-mode", "on", "--weights-ram", "4M"};

TEST_F(ExecTest, AModelThatWasDownloadedIsForetold) {
  Download();
  ExpectForetold(Exec(kSmall, Completion({"-hf", std::string(kRepository) + ":q4_0"})));
  environment_["LLAMA_ARG_HF_REPO"] = kRepository;
  ExpectForetold(Exec(kSmall, Completion({})));
  environment_.erase("LLAMA_ARG_HF_REPO");

  fs::create_directories(tree_.Path("cache/llama.cpp"));
  fs::copy_file(Model(), tree_.Path("cache/llama.cpp/m.gguf"));
  environment_["XDG_CACHE_HOME"] = tree_.Path("cache");
  ExpectForetold(Exec(kSmall, Completion({"--offline", "--model_url", "http://127.0.0.1:1/x/m.gguf?download=true"})));
  environment_["LLAMA_ARG_MODEL_URL"] = "http://127.0.0.1:1/x/m.gguf";
  ExpectForetold(Exec(kSmall, Completion({"--offline"})));
}

TEST_F(ExecTest, AModelThatIsNotHereIsLeftToTheLibrary) {
  const Outcome outcome = Exec({"--ram", "1G"}, Completion({"-hf", kRepository, "--offline", "--load-mode", "dio"}));
  EXPECT_NE(outcome.status, 0) << "the program's own error";
  EXPECT_TRUE(Has(
      outcome.err,
      "llama-completion: someone/austen-GGUF is not downloaded yet, so headrace cannot predict what it will allocate"))
      << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "1.00 GiB (--ram)")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "--load-mode dio is ignored")) << outcome.err;

  Download();
  const Outcome draft =
      Exec(kStreaming, Completion({"-hf", kRepository, "--spec-draft-hf", "someone/draft", "--help"}));
  EXPECT_FALSE(Has(draft.err, "cannot predict")) << "a program that only answers loads nothing: " << draft.err;
  fs::resize_file(tree_.Path("home/.cache/huggingface/hub/models--someone--austen-GGUF/blobs/0123"), 100'000);
  const Outcome part = Exec({"--ram", "1G"}, Completion({"-hf", kRepository, "--offline"}));
  EXPECT_TRUE(Has(part.err, "cannot be read yet")) << part.err;
}

TEST_F(ExecTest, OlderSpellingsAreMappedToo) {
  for (const char* word : {"--no-mmap", "--mlock", "-dio", "--direct-io"}) {
    const Outcome outcome = Exec(kStreaming, Completion({"-m", Model(), word}));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, std::string(word) + " is ignored") && Has(outcome.err, "streamed per pass"))
        << outcome.err;
  }
  for (const char* variable : {"LLAMA_ARG_NO_MMAP", "LLAMA_ARG_MLOCK", "LLAMA_ARG_DIO"}) {
    environment_[variable] = "1";
    const Outcome outcome = Exec(kStreaming, Completion({"-m", Model()}));
    EXPECT_TRUE(Has(outcome.err, std::string(variable) + "=1 is ignored") && Has(outcome.err, "streamed per pass"))
        << outcome.err;
    environment_.erase(variable);
  }
}

TEST_F(ExecTest, EveryMeasurementOfBenchStreams) {
  const Outcome outcome = Exec({"--weights-ram", "6M"},
                               {"llama-bench", "-m", Model(), "-p", "4", "-n", "1", "-r", "1", "-lm", "none,mmap"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "-lm none,mmap is ignored") && Has(outcome.err, "streamed per pass")) << outcome.err;
}

// A shell script or a Python program that starts one.
// With a disk so fast that computing decides, narrow ones are enough.
TEST_F(ExecTest, APromptsPassesAreAsWideAsTheDiskAsksFor) {
  environment_["HEADRACE_DISK"] = "1T";
  const std::string chosen = "prompts are read 128 tokens in a pass";
  Words options = kStreaming;
  options.emplace_back("--debug");
  const Outcome outcome = Exec(options, Completion({"-m", Model()}));
  ExpectForetold(outcome);
  EXPECT_TRUE(Has(outcome.err, chosen)) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, " -c 256 -ub 128\n")) << outcome.err;
  for (const Words& own : {Words{"-ub", "512"}, Words{"--batch-size", "512"}}) {
    Words words = Completion({"-m", Model()});
    words.insert(words.end(), own.begin(), own.end());
    EXPECT_FALSE(Has(Exec(options, words).err, "tokens in a pass")) << own.front();
  }
  environment_["LLAMA_ARG_UBATCH"] = "256";
  EXPECT_FALSE(Has(Exec(options, Completion({"-m", Model()})).err, "tokens in a pass"));
}

TEST_F(ExecTest, WrappersWorkAsEver) {
  const std::string program = std::string(HEADRACE_ENGINE_PREFIX) + "/usr/bin/llama-completion";
  tree_.File("bin/my-llama", "#!/bin/sh\nexec " + program + " -m '" + Model() + "' \"$@\"\n", true);
  environment_["PATH"] = tree_.Path("bin") + ":" + environment_["PATH"];
  const Outcome outcome = Exec(kStreaming, {"my-llama", "-p", "It is", "-n", "2", "-no-cnv"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "streamed per pass")) << outcome.err;
  EXPECT_EQ(Exec({}, {"sh", "-c", "exit 7", "-m", "module"}).status, 7);
}

class OneForAll : public ExecTest {
 protected:
  void SetUp() override {
    ExecTest::SetUp();
    if (!HasOneForAll()) GTEST_SKIP() << "the engine's programs are no libraries";
  }
  static Words Complete(const Words& more) {
    Words words = Completion(more);
    words.front() = "llama";
    words.insert(words.begin() + 1, "completion");
    return words;
  }
};

TEST_F(OneForAll, IsForetoldLikeTheProgramThatItIs) {
  ExpectForetold(Exec(kSmall, Complete({"-m", Model()})));
  environment_["LLAMA_ARG_MODEL"] = Model();
  environment_["LLAMA_ARG_LOAD_MODE"] = "none";
  const Outcome outcome = Exec(kSmall, Complete({}));
  ExpectForetold(outcome);
  EXPECT_TRUE(Has(outcome.err, "LLAMA_ARG_LOAD_MODE=none is ignored")) << outcome.err;
}

// Nothing else of the engine is installed.
TEST_F(OneForAll, ForetellsForItself) {
  environment_.erase("HEADRACE_ENGINE");
  fs::create_directories(tree_.Path("alone"));
  fs::copy_file(HEADRACE_COMMAND, tree_.Path("alone/headrace"));
  environment_["HEADRACE_LIBRARY"] = (fs::path(HEADRACE_COMMAND).parent_path() / "libheadrace.so").string();
  environment_["HEADRACE"] = tree_.Path("alone/headrace");
  environment_["MODEL"] = Model();
  ExpectForetold(
      Shell("\"$HEADRACE\" exec --stats --ram 36M -- llama completion -m \"$MODEL\" -p 'It is' -n 2 -no-cnv -c 256"));
}

TEST_F(OneForAll, OtherWordsAreItsOwn) {
  const Outcome outcome = Exec({}, {"llama", "frobnicate"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(Has(outcome.err, "unknown command 'frobnicate'")) << outcome.err;
}

// A server, started and asked.
class ServerTest : public ExecTest {
 protected:
  void Serve(Words options, const Words& program) {
    port_ = static_cast<uint16_t>(20'000 + getpid() % 12'000);
    options.insert(options.begin(), {"exec", "--stats"});
    options.emplace_back("--");
    options.insert(options.end(), program.begin(), program.end());
    options.insert(options.end(), {"--port", std::to_string(port_)});
    server_.reset(new RunningCommand(Start(options)));
    ASSERT_TRUE(Eventually([&] { return Ask("GET", "/health", "").status == 200; })) << End().err;
  }
  serve::HttpResponse Ask(const std::string& method, const std::string& target, const std::string& body) {
    serve::HttpClient client(port_);
    if (!client.connected()) return {};
    client.Send(method, target, body);
    return client.Read();
  }
  int Complete(const std::string& model) {
    return Ask("POST", "/v1/completions",
               nlohmann::json{{"model", model}, {"prompt", "It is"}, {"max_tokens", 2}}.dump())
        .status;
  }
  Outcome End() {
    server_->SignalCommand(SIGTERM);
    return server_->Finish();
  }
  std::string ModelsFolder() {
    fs::create_directories(tree_.Path("models"));
    for (const char* name : {"austen-dense-q4_0", "austen-moe-q4_0"}) {
      fs::create_symlink(std::string(HEADRACE_SOURCE_DIR) + "/models/" + name + ".gguf",
                         tree_.Path(std::string("models/") + name + ".gguf"));
    }
    return tree_.Path("models");
  }

  uint16_t port_ = 0;
  std::unique_ptr<RunningCommand> server_;
};

TEST_F(ServerTest, OfTheOneForAll) {
  if (!HasOneForAll()) GTEST_SKIP() << "the engine's programs are no libraries";
  Serve({"--ram", "46M"}, {"llama", "serve", "-m", Model(), "-c", "256", "-ub", "512", "-lm", "mlock"});
  EXPECT_EQ(Complete("any"), 200);
  const Outcome outcome = End();
  EXPECT_TRUE(Has(outcome.err, "weights stream, ") && Has(outcome.err, "-lm mlock is ignored") &&
              Has(outcome.err, "streamed per pass"))
      << outcome.err;
}

TEST_F(ServerTest, OfSeveralModels) {
  const std::string preset = tree_.File("preset.ini", "version = 1\n[*]\nload-mode = none\n");
  Serve(kStreaming, {"llama-server", "--models-dir", ModelsFolder(), "--models-preset", preset, "-c", "256"});
  for (const char* model : {"austen-dense-q4_0", "austen-moe-q4_0"}) EXPECT_EQ(Complete(model), 200) << model;
  EXPECT_EQ(server_->Children().size(), 1u);
  const Outcome outcome = End();
  EXPECT_TRUE(
      Has(outcome.err,
          "llama-server: it loads models when it is asked for them, so headrace cannot predict what it will allocate"))
      << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "--models-max 1 instead of the server's own")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "load-mode = none in " + preset + " is ignored")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "streamed per pass")) << outcome.err;
}

TEST_F(ServerTest, OfSeveralModelsByTheOneForAll) {
  if (!HasOneForAll()) GTEST_SKIP() << "the engine's programs are no libraries";
  environment_["LLAMA_ARG_MODELS_DIR"] = ModelsFolder();
  environment_["LLAMA_ARG_MODELS_MAX"] = "2";
  Serve(kStreaming, {"llama", "serve", "-c", "256"});
  for (const char* model : {"austen-dense-q4_0", "austen-moe-q4_0"}) EXPECT_EQ(Complete(model), 200) << model;
  const Outcome outcome = End();
  EXPECT_TRUE(Has(outcome.err, "--models-max 2: each model's process has 2.00 MiB for weights")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "streamed per pass")) << outcome.err;
}

TEST_F(ServerTest, NobodyAskedOneOfSeveralModels) {
  Serve(kStreaming, {"llama-server", "--models-dir", ModelsFolder()});
  const Outcome outcome = End();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

TEST_F(ServerTest, AnyNumberOfModelsWithinALimitIsRefused) {
  const Outcome outcome = Exec({"--ram", "1G"}, {"llama-server", "--models-dir", ModelsFolder(), "--models-max", "0"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_TRUE(Has(outcome.err, "--models-max 0 lets any number of models share 1.00 GiB (--ram)")) << outcome.err;
}

}  // namespace
}  // namespace headrace::cli
