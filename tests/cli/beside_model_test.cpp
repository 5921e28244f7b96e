// What the engine loads and keeps beside the model counts before it starts, wherever it was asked for: after --, in a
// Modelfile, in the environment.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/size.h"
#include "children_memory.h"
#include "command_runner.h"
#include "group_command.h"
#include "made_models.h"

namespace headrace::cli {
namespace {

using Words = std::vector<std::string>;

class BesideTheModel : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
  }

  static Words Joined(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  // What `plan` says of the memory, in bytes.
  nlohmann::json Memory(const Words& options) {
    const Outcome plan = Run(Joined({"plan", Model(), "--json"}, options));
    EXPECT_EQ(plan.status, 0) << plan.err;
    said_ = plan.err;
    const auto json = nlohmann::json::parse(plan.out, nullptr, false);
    return json.is_object() ? json["memory"] : nlohmann::json();
  }
  uint64_t Bytes(const Words& options, const char* key) {
    const auto memory = Memory(options);
    return memory.is_object() && memory[key].is_number() ? memory[key].get<uint64_t>() : 0;
  }
  std::string Adapter(uint64_t rank = 1000) {
    const std::string path = tree_.Path("adapter.gguf");
    EXPECT_TRUE(WriteAdapter(path, rank));
    return path;
  }

  std::string said_;
};

TEST_F(BesideTheModel, AdaptersAndControlVectorsCount) {
  const std::string adapter = Adapter(), vector = tree_.Path("vector.gguf");
  ASSERT_TRUE(WriteControlVector(vector));
  const uint64_t bytes = std::filesystem::file_size(adapter), small = std::filesystem::file_size(vector);
  EXPECT_EQ(Bytes({}, "adapter_bytes"), 0u);
  const uint64_t one = Bytes({"--", "--lora", adapter}, "adapter_bytes");
  EXPECT_GE(one, bytes);
  EXPECT_LE(one, bytes + 16 * kMiB);
  EXPECT_EQ(Bytes({"--", "--lora", adapter + "," + adapter}, "adapter_bytes"), 2 * one);
  EXPECT_EQ(Bytes({"--", "--lora-scaled", adapter + ":0.5", "--control-vector", vector}, "adapter_bytes"),
            one + (Bytes({"--", "--control-vector", vector}, "adapter_bytes")));
  EXPECT_GE(Bytes({"--", "--control-vector", vector}, "adapter_bytes"), small);
}

// The peak of a run in the least memory that was foretold for it.
TEST_F(BesideTheModel, ARunWithAnAdapterKeepsToItsMemory) {
  const std::string adapter = Adapter(5000);  // 68 MiB
  const Words options = {"-c", "512", "--flash-mode", "on"}, lora = {"--", "--lora", adapter, "-ub", "64"};
  const uint64_t least = Bytes(Joined(options, lora), "least_bytes");
  ASSERT_GT(least, 70 * kMiB);
  const uint64_t limit = (least / kMiB + 4) * kMiB;
  const Words run =
      Joined(Joined({"run", Model(), "--raw", "-p", "It is", "-n", "4", "--temp", "0", "--ram", std::to_string(limit)},
                    options),
             lora);
  RunningCommand command = Start(run);
  PeakOfChildren peak(command.pid());
  const Outcome outcome = command.Finish();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_LE(peak.Finish(), limit) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "adapters 97.")) << outcome.err;
  // And too little is refused, with the reason.
  const Outcome refused =
      Run(Joined(Joined({"run", Model(), "--raw", "-p", "It is", "-n", "4", "--ram", "70M"}, options), lora));
  EXPECT_EQ(refused.status, 2) << refused.err;
  EXPECT_TRUE(Has(refused.err, "adapters 97.")) << refused.err;
}

TEST_F(BesideTheModel, AModelfilesAdapterCounts) {
  Adapter();
  std::filesystem::copy_file(Model(), tree_.Path("model.gguf"));
  const std::string file = tree_.File("Modelfile", "FROM ./model.gguf\nADAPTER ./adapter.gguf\n");
  const Outcome run = Run({"run", "--modelfile", file, "--ram", "1G", "--raw", "-p", "It is", "-n", "2"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(Has(run.err, ", adapters ")) << run.err;
}

TEST_F(BesideTheModel, VariablesCountAsTheirOptions) {
  const uint64_t usual = Bytes({}, "context_bytes");
  environment_["LLAMA_ARG_CTX_SIZE"] = "512";
  environment_["LLAMA_ARG_PORT"] = "1";
  environment_["LLAMA_ARG_DRAFT_MAX"] = "3";
  EXPECT_LT(Bytes({}, "context_bytes"), usual);
  EXPECT_TRUE(Has(said_, "--ctx-size 512 (LLAMA_ARG_CTX_SIZE)") &&
              Has(said_, "ignored from the environment: LLAMA_ARG_"))
      << said_;
  EXPECT_EQ(Bytes({"-c", "2048"}, "context_bytes"), usual) << "an option goes before it";
  environment_["LLAMA_ARG_SPEC_DRAFT_MODEL"] = std::string(HEADRACE_SOURCE_DIR) + "/models/austen-draft-f16.gguf";
  EXPECT_GT(Bytes({}, "weight_bytes"), std::filesystem::file_size(Model()));
}

// A variable that no program of the engine would take ended all of them, --help too, and with it the table.
TEST_F(BesideTheModel, ATableThatCannotBeHadIsExplained) {
  environment_["LLAMA_ARG_CTX_SIZE"] = "many";
  const Outcome plan = Run({"plan", Model()});
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_TRUE(Has(plan.err, "and only measures it: ")) << plan.err;
  environment_.erase("LLAMA_ARG_CTX_SIZE");
  const Outcome odd = Run({"plan", Model(), "--", "-ctk", "q9_9"});
  EXPECT_TRUE(Has(odd.err, "and only measures it: ")) << odd.err;
}

// What is left in the environment must neither move the server elsewhere nor end it.
TEST_F(BesideTheModel, ARunIsNotLedAstray) {
  const Words run = {"run",    Model(), "--raw",        "-p", "It is a truth", "-n", "8",
                     "--temp", "0",     "--flash-mode", "on", "--weights-ram", "4M"};
  const Outcome plain = Run(run);
  ASSERT_EQ(plain.status, 0) << plain.err;
  for (const char* variable : {"LLAMA_ARG_HOST", "LLAMA_ARG_PORT", "LLAMA_API_KEY", "LLAMA_ARG_MODEL",
                               "LLAMA_ARG_N_PARALLEL", "LLAMA_ARG_EMBEDDINGS", "LLAMA_ARG_LOG_JSONL",
                               "LLAMA_ARG_DRAFT_MAX", "LLAMA_ARG_HF_REPO", "LLAMA_ARG_API_PREFIX"}) {
    environment_[variable] = "1";
  }
  const Outcome outcome = Run(run);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, plain.out) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "ignored from the environment")) << outcome.err;
}

// `exec` leaves them to the program.
TEST_F(BesideTheModel, AProgramOfItsOwnKeepsItsVariablesAndTheyCount) {
  environment_["LLAMA_ARG_MODEL"] = Model();
  environment_["LLAMA_ARG_CTX_SIZE"] = "512";
  environment_["LLAMA_ARG_N_PREDICT"] = "2";
  const Outcome outcome = Run({"exec", "--ram", "1G", "--", "llama-completion", "-p", "It is", "-no-cnv"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "KV cache 3.00 MiB")) << outcome.err;
}

TEST_F(BesideTheModel, APromptCacheWithoutEndIsRefused) {
  const Outcome outcome =
      Run({"exec", "--ram", "1G", "--", "llama-server", "-m", Model(), "--port", "1", "--cache-ram", "-1"});
  EXPECT_EQ(outcome.status, 2) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "without end")) << outcome.err;
}

}  // namespace
}  // namespace headrace::cli
