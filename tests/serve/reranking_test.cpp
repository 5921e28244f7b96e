// A model that ranks documents, streamed and not: made of a bundled model by make_reranker.py.
#include "serve_test.h"

namespace headrace::serve {
namespace {

constexpr const char* kRanker = "ranker";

class Reranking : public ServeTest {
 protected:
  void SetUp() override {
    ServeTest::SetUp();
    const auto made = Shell("python3 -B '" + std::string(HEADRACE_SOURCE_DIR) + "/tests/serve/make_reranker.py' '" +
                            Models() + "/austen-dense-q4_0.gguf' '" + tree_.Path("ranker.gguf") + "'");
    ASSERT_EQ(made.status, 0) << made.err;
    ASSERT_TRUE(StartServer({"--models-dir", tree_.Path("")}));
  }
  void LoadIt(bool streams) {
    const Answer loaded = Load({{"model", kRanker},
                                {"context_length", 2048},
                                {"flash_mode", streams ? "on" : "off"},
                                {"flash_ram_gb", streams ? Json(0.004) : Json()}});
    ASSERT_EQ(loaded.status, 200) << loaded.text;
    ASSERT_EQ(loaded.body["decision"]["streams"], streams) << loaded.text;
  }
  Answer Rank(const Json& documents) {
    return Post("/v1/rerank", {{"model", kRanker}, {"query", "a truth"}, {"documents", documents}});
  }
};

TEST_F(Reranking, StreamedScoresAreTheSame) {
  const Json documents = {"It is a truth", "Handsome, clever, and rich", "x"};
  std::vector<std::map<int, double>> scores;
  for (const bool streams : {true, false}) {
    ASSERT_NO_FATAL_FAILURE(LoadIt(streams));
    const Answer answer = Rank(documents);
    ASSERT_EQ(answer.body["results"].size(), 3u) << answer.text;
    std::map<int, double>& found = scores.emplace_back();
    for (const Json& result : answer.body["results"]) found[result["index"]] = result["relevance_score"];
    EXPECT_EQ(Post("/rerank", {{"query", "a truth"}, {"documents", documents}, {"top_n", 1}}).body["results"].size(),
              1u);
  }
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(scores[0][i], scores[1][i], 1e-3) << "llama-server's own";
  EXPECT_GT(std::abs(scores[0][0] - scores[0][1]), 1e-3) << "each document has a score of its own";
}

TEST_F(Reranking, ManyDocumentsInAPass) {
  ASSERT_NO_FATAL_FAILURE(LoadIt(true));
  Json documents = Json::array();
  for (int i = 0; i < 32; ++i) documents.push_back("It is a truth number " + std::to_string(i));
  const uint64_t before = Flash(kRanker)["passes"];
  EXPECT_EQ(Rank(documents).body["results"].size(), 32u);
  EXPECT_LE(Flash(kRanker)["passes"].get<uint64_t>() - before, 5u) << "sixteen in each, at first fewer";
}

TEST_F(Reranking, WhatIsTooLongIsSaid) {
  ASSERT_NO_FATAL_FAILURE(LoadIt(true));
  std::string document;
  for (int i = 0; i < 300; ++i) document += "It is a truth ";
  EXPECT_EQ(Rank({document}).status, 200) << "as long as the context";
  for (int i = 0; i < 600; ++i) document += "It is a truth ";
  const Answer long_one = Rank({document});
  EXPECT_EQ(long_one.status, 400) << long_one.text;
  EXPECT_TRUE(Has(long_one.Error(), "2048 tokens")) << long_one.text;
  EXPECT_EQ(Rank(Json::array()).status, 400);
  EXPECT_EQ(Rank({"It"}).status, 200) << "it goes on";
}

}  // namespace
}  // namespace headrace::serve
