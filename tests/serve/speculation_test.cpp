// Speculative decoding behind the server: the text stays, passes become fewer, and what was seen is known the next
// time.
#include <filesystem>
#include <fstream>
#include <thread>

#include "serve_test.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;

class ServeSpeculation : public ServeTest {
 protected:
  // Greedy, and a text that repeats itself: the bundled model does not by itself.
  Answer Text() {
    return Post("/completion", {{"prompt", "Elizabeth and Mr. Darcy. Elizabeth and Mr. Darcy. Elizabeth and"},
                                {"n_predict", 48},
                                {"temperature", 0},
                                {"grammar", R"(root ::= (" Mr. Darcy and Elizabeth were in the room.")+)"}});
  }
  std::string LearnedFile() {
    const std::string cache =
        environment_.count("XDG_CACHE_HOME") > 0 ? environment_["XDG_CACHE_HOME"] : environment_["HOME"] + "/.cache";
    return cache + "/headrace/speculation.json";
  }
};

TEST_F(ServeSpeculation, TheTextIsThatOfGreedyDecodingAndTheNextLoadKnowsWhatWasSeen) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--kernels", "plain"}));
  std::string greedy;
  bool measured = false;  // by a run that no other program disturbed
  for (const Json& more : {Json{{"speculate", "off"}}, Json{{"speculate", "auto"}, {"draft_tokens", 3}},
                           Json{{"draft_model", kDraft}, {"draft_tokens", 3}}}) {
    Json config = {{"model", kDense}, {"flash_mode", "on"}, {"flash_ram_gb", 0.0098}, {"slots", 1}};
    config.update(more);
    const Answer loaded = Load(config);
    ASSERT_EQ(loaded.status, 200) << loaded.text;
    const Json speculation = loaded.body["speculation"];
    const Answer answer = Text();
    ASSERT_EQ(answer.status, 200) << answer.text;
    const int drafted = answer.body["timings"].value("draft_n", 0);
    if (greedy.empty()) {
      greedy = answer.body["content"];
      EXPECT_EQ(drafted, 0);
      EXPECT_EQ(speculation["kind"], "none") << speculation.dump();
    } else {
      EXPECT_EQ(answer.body["content"], greedy) << more.dump();
      EXPECT_GT(drafted, 0) << more.dump();
      EXPECT_EQ(speculation["draft_tokens"], 3) << speculation.dump();
    }
    const Json disturbed = Flash(kDense)["disturbed_share"];
    ASSERT_TRUE(disturbed.is_number());
    measured = measured || disturbed <= 0.1;
    EXPECT_EQ(Post("/api/v1/models/unload", {{"model", kDense}}).status, 200);
    if (drafted > 0) {
      std::ifstream file(LearnedFile());
      const Json learned = Json::parse(file, nullptr, false);
      ASSERT_TRUE(learned.is_object()) << LearnedFile();
      double judged = 0;
      for (const auto& [key, draft] : learned["drafts"].items()) judged += draft.value("judged", 0.0);
      EXPECT_GT(judged, 0) << learned.dump();
      EXPECT_EQ(learned["passes"].empty(), !measured) << learned.dump();
    }
  }
  // Without a length of the user's the choice is made from what was seen.
  const Json estimate =
      Get(std::string("/api/v1/models/estimate?model=") + kDense + "&draft_tokens=null").body["speculation"];
  EXPECT_EQ(estimate["passes_measured"].get<bool>(), measured) << estimate.dump();
  EXPECT_FALSE(estimate["acceptance"].is_null()) << estimate.dump();
}

// Whoever ends the server need not unload what it has loaded.
TEST_F(ServeSpeculation, AServerThatEndsKeepsWhatItSaw) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--kernels", "plain"}));
  ASSERT_EQ(Load({{"model", kDense}, {"flash_mode", "on"}, {"flash_ram_gb", 0.0098}, {"slots", 1}, {"draft_tokens", 3}})
                .status,
            200);
  EXPECT_GT(Text().body["timings"].value("draft_n", 0), 0);
  EXPECT_FALSE(fs::exists(LearnedFile()));
  EXPECT_EQ(EndServer().status, 0);
  std::ifstream file(LearnedFile());
  const Json learned = Json::parse(file, nullptr, false);
  ASSERT_TRUE(learned.is_object()) << LearnedFile();
  EXPECT_EQ(learned["drafts"].size(), 1u) << learned.dump();
}

// The drafts of all are judged in the same passes; the next load knows how many requests there were.
TEST_F(ServeSpeculation, RequestsAtATimeAreCounted) {
  ASSERT_TRUE(
      StartServer({"--models-dir", Models(), "--kernels", "plain", "--flash-mode", "on", "--weights-ram", "9M"}));
  ASSERT_EQ(Load({{"model", kDense}, {"slots", 4}, {"context_length", 512}, {"draft_tokens", 3}}).status, 200);
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back([&] { EXPECT_EQ(Text().status, 200); });
  for (std::thread& client : clients) client.join();
  uint64_t widest = 0;
  const Json flash = Flash(kDense);
  for (const Json& width : flash["widths"]) {
    if (width["passes"] > 1)
      widest = std::max(widest, width["tokens"].get<uint64_t>() / width["passes"].get<uint64_t>());
  }
  EXPECT_GT(widest, 4u);
  EXPECT_EQ(Post("/api/v1/models/unload", {{"model", kDense}}).status, 200);
  std::ifstream file(LearnedFile());
  const Json learned = Json::parse(file, nullptr, false);
  ASSERT_EQ(learned["drafts"].size(), 1u) << learned.dump();
  const double at_a_time = learned["drafts"].begin()->value("sequences", 0.0);
  EXPECT_GT(at_a_time, 1.5) << learned.dump();
  EXPECT_LE(at_a_time, 4) << learned.dump();
}

TEST_F(ServeSpeculation, DraftsThatCannotBeAreRefusedBeforeAnythingStarts) {
  ASSERT_TRUE(StartServer());
  const Answer larger = Load({{"model", kDraft}, {"draft_model", kDense}});
  EXPECT_EQ(larger.status, 400) << larger.text;
  EXPECT_TRUE(Has(larger.Error(), "not smaller")) << larger.text;
  const Answer large =
      Load({{"model", kDense}, {"flash_mode", "on"}, {"flash_ram_gb", 0.004}, {"draft_model", kDraft}});
  EXPECT_NE(large.status, 200);
  EXPECT_TRUE(Has(large.Error(), "6.63 MiB for the draft model")) << large.text;
  EXPECT_TRUE(Has(large.Error(), R"({"draft_model":""})")) << large.text;
}

// llama-server 0.7.0 gives 0.0 for every token that was drafted.
TEST_F(ServeSpeculation, LogProbabilitiesAreRightOrRefused) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--kernels", "plain"}));
  const Json config = {{"model", kDense}, {"flash_mode", "on"}, {"flash_ram_gb", 0.0098}, {"slots", 1}};
  const auto load = [&](const Json& more) {
    Json all = config;
    all.update(more);
    return Load(all);
  };
  const Json text = {{"prompt", "Elizabeth and Mr. Darcy. Elizabeth and Mr. Darcy. Elizabeth and"},
                     {"max_tokens", 24},
                     {"temperature", 0},
                     {"logprobs", 2}};
  const Json chat = {{"messages", {{{"role", "user"}, {"content", "Hi"}}}},
                     {"max_tokens", 8},
                     {"logprobs", true},
                     {"top_logprobs", 2}};
  const auto expect_right = [](const Answer& answer) {
    ASSERT_EQ(answer.status, 200) << answer.text;
    for (const Json& token : answer.body["choices"][0]["logprobs"]["content"]) {
      EXPECT_LT(token["logprob"], 0.0) << token.dump();
      EXPECT_EQ(token["top_logprobs"].size(), 2u) << token.dump();
    }
  };
  // Asked for: refused with what would help.
  for (const Json& more : {Json{{"draft_model", kDraft}, {"draft_tokens", 3}},
                           Json{{"draft_model", nullptr}, {"speculate", "on"}, {"draft_tokens", 3}}}) {
    ASSERT_EQ(load(more).status, 200);
    for (const Answer& answer : {Post("/v1/completions", text), Post("/v1/chat/completions", chat),
                                 Post("/completion", {{"prompt", "It is"}, {"n_predict", 4}, {"n_probs", 2}})}) {
      EXPECT_EQ(answer.status, 400) << answer.text;
      EXPECT_TRUE(Has(answer.Error(), "\"speculate\": \"off\"")) << answer.text;
    }
    Json one = text;
    one["max_tokens"] = 1;
    expect_right(Post("/v1/completions", one));
  }
  ASSERT_EQ(load({{"speculate", "off"}, {"draft_tokens", nullptr}}).status, 200);
  expect_right(Post("/v1/completions", text));
  // Our own choice: gives way.
  ASSERT_EQ(load({{"speculate", nullptr}, {"draft_tokens", 3}}).status, 200);
  ASSERT_NE(Model(kDense)["loaded"]["speculation"]["kind"], "none");
  expect_right(Post("/v1/completions", text));
  expect_right(Post("/v1/chat/completions", chat));
  EXPECT_EQ(Model(kDense)["loaded"]["speculation"]["kind"], "none");
  EXPECT_FALSE(Model(kDense)["remembered"].contains("speculate")) << "nobody asked for it";
}

}  // namespace
}  // namespace headrace::serve
