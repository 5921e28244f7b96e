// Models that carry a draft head in their own file, behind the server.
#include <filesystem>
#include <fstream>
#include <thread>

#include "serve_test.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;

class ServeDraftHead : public ServeTest {
 protected:
  void SetUp() override {
    ServeTest::SetUp();
    ASSERT_FALSE(std::string(HEADRACE_MAKE_MODEL).empty()) << "headrace-make-model was not built";
    fs::create_directories(folder_);
    const cli::Outcome made = Shell(std::string(HEADRACE_MAKE_MODEL) + " --preset head-tiny --seed 13 --quiet " +
                                    folder_ + "/head.gguf 2>&1");
    ASSERT_EQ(made.status, 0) << made.out;
  }
  Answer Text(const std::string& prompt) {
    return Post(
        "/completion",
        {{"prompt", prompt}, {"n_predict", 32}, {"temperature", 0}, {"ignore_eos", true}, {"return_tokens", true}});
  }
  static Json Config(const Json& more) {
    Json config = {{"model", "head"}, {"flash_mode", "on"}, {"flash_ram_gb", 0.006}, {"context_length", 512}};
    config.update(more);
    return config;
  }

  const std::string folder_ = tree_.Path("models");
};

TEST_F(ServeDraftHead, DraftsByItselfAndTheTextsStay) {
  ASSERT_TRUE(StartServer({"--models-dir", folder_, "--kernels", "plain"}));
  const std::vector<std::string> prompts = {"Once upon a time", "It is a truth"};
  std::vector<Json> greedy;
  ASSERT_EQ(Load(Config({{"speculate", "off"}, {"slots", 1}})).status, 200);
  EXPECT_EQ(Model("head")["loaded"]["speculation"]["kind"], "none");
  for (const std::string& prompt : prompts) greedy.push_back(Text(prompt).body["tokens"]);
  for (const Json& tokens : greedy) ASSERT_EQ(tokens.size(), 32u);

  const Answer loaded = Load(Config({{"speculate", nullptr}, {"slots", 1}, {"draft_tokens", 3}}));
  ASSERT_EQ(loaded.status, 200) << loaded.text;
  EXPECT_EQ(loaded.body["speculation"]["kind"], "head") << loaded.text;
  EXPECT_EQ(loaded.body["speculation"]["draft_tokens"], 3);
  int accepted = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const Answer answer = Text(prompts[i]);
    ASSERT_EQ(answer.status, 200) << answer.text;
    EXPECT_EQ(answer.body["tokens"], greedy[i]) << prompts[i];
    EXPECT_GT(answer.body["timings"].value("draft_n", 0), 0);
    accepted += answer.body["timings"].value("draft_n_accepted", 0);
  }
  EXPECT_GT(accepted, 0);
  // What was seen is kept as the head's.
  EXPECT_EQ(Post("/api/v1/models/unload", {{"model", "head"}}).status, 200);
  const std::string cache =
      environment_.count("XDG_CACHE_HOME") > 0 ? environment_["XDG_CACHE_HOME"] : environment_["HOME"] + "/.cache";
  std::ifstream file(cache + "/headrace/speculation.json");
  const Json learned = Json::parse(file, nullptr, false);
  ASSERT_TRUE(learned.is_object());
  double judged = 0;
  for (const auto& [key, draft] : learned["drafts"].items())
    judged += key.ends_with("| head") ? draft.value("judged", 0.0) : 0;
  EXPECT_GT(judged, 0) << learned.dump();
}

// The head drafts for all of them in the same passes.
TEST_F(ServeDraftHead, TwoRequestsAtATime) {
  ASSERT_TRUE(StartServer({"--models-dir", folder_, "--kernels", "plain"}));
  const std::vector<std::string> prompts = {"Once upon a time", "It is a truth"};
  std::vector<Json> greedy(2), drafted(2);
  ASSERT_EQ(Load(Config({{"speculate", "off"}, {"slots", 2}})).status, 200);
  for (size_t i = 0; i < 2; ++i) greedy[i] = Text(prompts[i]).body["tokens"];
  const Answer loaded = Load(Config({{"speculate", nullptr}, {"slots", 2}, {"draft_tokens", 2}}));
  ASSERT_EQ(loaded.status, 200) << loaded.text;
  ASSERT_EQ(loaded.body["speculation"]["kind"], "head") << loaded.text;
  std::vector<std::thread> clients;
  for (size_t i = 0; i < 2; ++i) clients.emplace_back([&, i] { drafted[i] = Text(prompts[i]).body["tokens"]; });
  for (std::thread& client : clients) client.join();
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(drafted[i], greedy[i]) << prompts[i];
}

// llama-server gives 0.0 for every token that was drafted. Nobody asked for these drafts: they give way.
TEST_F(ServeDraftHead, LogProbabilitiesAreRight) {
  ASSERT_TRUE(StartServer({"--models-dir", folder_, "--kernels", "plain"}));
  ASSERT_EQ(Load(Config({{"slots", 1}, {"draft_tokens", 3}})).status, 200);
  ASSERT_EQ(Model("head")["loaded"]["speculation"]["kind"], "head");
  const Answer answer =
      Post("/v1/completions", {{"prompt", "Once upon a time"}, {"max_tokens", 8}, {"temperature", 0}, {"logprobs", 2}});
  ASSERT_EQ(answer.status, 200) << answer.text;
  for (const Json& token : answer.body["choices"][0]["logprobs"]["content"])
    EXPECT_LT(token["logprob"], 0.0) << token.dump();
  EXPECT_EQ(Model("head")["loaded"]["speculation"]["kind"], "none");
}

}  // namespace
}  // namespace headrace::serve
