// Speculative decoding behind the server: the text stays, passes become fewer, and what was seen is known the next time.
#include <filesystem>
#include <fstream>

#include "serve_test.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;

class ServeSpeculation : public ServeTest {
 protected:
  // Greedy, and a text that repeats itself: the bundled model does not by itself.
  Answer Text() {
    return Post("/completion", {{"prompt", "Elizabeth and Mr. Darcy. Elizabeth and Mr. Darcy. Elizabeth and"}, {"n_predict", 48}, {"temperature", 0},
                                 {"grammar", R"(root ::= (" Mr. Darcy and Elizabeth were in the room.")+)"}});
  }
  std::string LearnedFile() {
    const std::string cache = environment_.count("XDG_CACHE_HOME") > 0 ? environment_["XDG_CACHE_HOME"] : environment_["HOME"] + "/.cache";
    return cache + "/headrace/speculation.json";
  }
};

TEST_F(ServeSpeculation, TheTextIsThatOfGreedyDecodingAndTheNextLoadKnowsWhatWasSeen) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--kernels", "plain"}));
  std::string greedy;
  for (const Json& more : {Json{{"speculate", "off"}}, Json{{"speculate", "auto"}, {"draft_tokens", 3}}, Json{{"draft_model", kDraft}, {"draft_tokens", 3}}}) {
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
    EXPECT_EQ(Post("/api/v1/models/unload", {{"model", kDense}}).status, 200);
    if (drafted > 0) {
      std::ifstream file(LearnedFile());
      const Json learned = Json::parse(file, nullptr, false);
      ASSERT_TRUE(learned.is_object()) << LearnedFile();
      double judged = 0;
      for (const auto& [key, draft] : learned["drafts"].items()) judged += draft.value("judged", 0.0);
      EXPECT_GT(judged, 0) << learned.dump();
      EXPECT_FALSE(learned["passes"].empty()) << learned.dump();
    }
  }
  // Without a length of the user's the choice is made from what was seen.
  const Json estimate = Get(std::string("/api/v1/models/estimate?model=") + kDense + "&draft_tokens=null").body["speculation"];
  EXPECT_TRUE(estimate["passes_measured"].get<bool>()) << estimate.dump();
  EXPECT_FALSE(estimate["acceptance"].is_null()) << estimate.dump();
}

TEST_F(ServeSpeculation, DraftsThatCannotBeAreRefusedBeforeAnythingStarts) {
  ASSERT_TRUE(StartServer());
  const Answer larger = Load({{"model", kDraft}, {"draft_model", kDense}});
  EXPECT_EQ(larger.status, 400) << larger.text;
  EXPECT_TRUE(Has(larger.Error(), "not smaller")) << larger.text;
  const Answer large = Load({{"model", kDense}, {"flash_mode", "on"}, {"flash_ram_gb", 0.004}, {"draft_model", kDraft}});
  EXPECT_NE(large.status, 200);
  EXPECT_TRUE(Has(large.Error(), "6.63 MiB for the draft model")) << large.text;
  EXPECT_TRUE(Has(large.Error(), R"({"draft_model":""})")) << large.text;
}

}  // namespace
}  // namespace headrace::serve
