// Context checkpoints of recurrent models: llama-server keeps 32 for each slot, 8 MiB each here, and --ram is the whole
// process.
#include <filesystem>
#include <thread>

#include "base/size.h"
#include "children_memory.h"
#include "made_models.h"
#include "memory/memory_group_test.h"
#include "serve_test.h"

namespace headrace::serve {
namespace {

constexpr const char* kRecurrent = "recurrent";

class Checkpoints : public ServeTest {
 protected:
  std::string Recurrent() {
    const std::string path = tree_.Path("recurrent.gguf");
    EXPECT_TRUE(cli::WriteRecurrentModel(path));
    return path;
  }
  // Chats that grow turn by turn; each turn would leave a checkpoint.
  void Talk(int clients, int turns) {
    std::vector<std::thread> threads;
    for (int client = 0; client < clients; ++client) {
      threads.emplace_back([this, client, turns] {
        std::string text = "I am " + std::to_string(client);
        for (int turn = 0; turn < turns; ++turn) {
          text += " say " + std::to_string(turn);
          const Answer answer = Post(
              "/v1/completions",
              {{"model", kRecurrent}, {"prompt", text}, {"max_tokens", 1}, {"ignore_eos", true}, {"temperature", 0}});
          EXPECT_EQ(answer.status, 200) << answer.text;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  // Of the model's process.
  uint64_t PeakWhileTalking(int clients, int turns) {
    cli::PeakOfChildren peak(server_->id());
    Talk(clients, turns);
    return peak.Finish();
  }
  Json Decision() { return Model(kRecurrent)["loaded"]["decision"]["memory"]; }
};

TEST_F(Checkpoints, OfAModelThatFitsHaveWhatIsLeft) {
  ASSERT_TRUE(StartServer({Recurrent(), "--ram", "200M"}));
  const uint64_t peak = PeakWhileTalking(4, 4);
  EXPECT_LE(peak, 200 * kMiB);
  const Json memory = Decision();
  EXPECT_GT(memory["checkpoint_bytes"].get<uint64_t>(), 0u) << memory.dump();
  EXPECT_LE(memory["peak_bytes"].get<uint64_t>(), 200 * kMiB) << memory.dump();
  EXPECT_LE(peak, memory["peak_bytes"].get<uint64_t>()) << memory.dump();
  const cli::Outcome end = EndServer();
  EXPECT_TRUE(Has(end.err, "--ctx-checkpoints ") && Has(end.err, "instead of llama-server's own 32")) << end.err;
}

TEST_F(Checkpoints, GiveWayToStreamedWeights) {
  ASSERT_TRUE(StartServer({Recurrent(), "--ram", "120M", "--flash-mode", "on"}));
  EXPECT_LE(PeakWhileTalking(4, 3), 120 * kMiB);
  EXPECT_LE(Decision()["checkpoint_bytes"].get<uint64_t>(), 120 * kMiB / 16);
  EXPECT_TRUE(Has(EndServer().err, "instead of llama-server's own 32"));
}

TEST_F(Checkpoints, ThatTheUserWantsCount) {
  ASSERT_TRUE(StartServer({Recurrent(), "--ram", "1G", "--", "--ctx-checkpoints", "3", "-np", "2"}));
  const uint64_t peak = PeakWhileTalking(2, 4);
  const Json memory = Decision();
  EXPECT_NEAR(memory["checkpoint_bytes"].get<double>(), 6 * 8.2 * kMiB, 2.0 * kMiB);
  EXPECT_LE(peak, memory["peak_bytes"].get<uint64_t>());
  EXPECT_FALSE(Has(EndServer().err, "instead of llama-server's own"));
}

TEST_F(Checkpoints, InTheEnvironmentCountToo) {
  environment_["LLAMA_ARG_CTX_CHECKPOINTS"] = "3";
  environment_["LLAMA_ARG_N_PARALLEL"] = "2";
  environment_["LLAMA_ARG_HOST"] = "0.0.0.0";
  environment_["LLAMA_ARG_PORT"] = "1";
  environment_["LLAMA_API_KEY"] = "secret";
  ASSERT_TRUE(StartServer({Recurrent(), "--ram", "1G"}));
  Talk(1, 1);
  EXPECT_NEAR(Decision()["checkpoint_bytes"].get<double>(), 6 * 8.2 * kMiB, 2.0 * kMiB);
  const cli::Outcome end = EndServer();
  EXPECT_TRUE(Has(end.err, "--ctx-checkpoints 3 (LLAMA_ARG_CTX_CHECKPOINTS)")) << end.err;
  EXPECT_TRUE(
      Has(end.err,
          "ignored from the environment: LLAMA_API_KEY, LLAMA_ARG_HOST, LLAMA_ARG_PORT: headrace sets that itself"))
      << end.err;
}

TEST_F(Checkpoints, OfAModelWithoutStatesCostNothing) {
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  EXPECT_EQ(Model(kDense)["loaded"]["decision"]["memory"]["checkpoint_bytes"], 0);
  EXPECT_FALSE(Has(EndServer().err, "--ctx-checkpoints"));
}

TEST_F(Checkpoints, NothingIsKilledInAGroup) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to make a memory cgroup";
  const MemoryGroup group(220 * kMiB);
  if (!group.usable()) GTEST_SKIP() << "no memory cgroup can be made here";
  group_ = group.procs();
  ASSERT_TRUE(StartServer({Recurrent()}));
  Talk(4, 4);
  EXPECT_EQ(group.Kills(), 0u);
  EXPECT_EQ(Model(kRecurrent)["loaded"]["restarts"], 0);
  EndServer();
}

}  // namespace
}  // namespace headrace::serve
