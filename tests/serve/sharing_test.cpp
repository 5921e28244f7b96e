// Several requests at a time for one model whose weights stream.
#include <thread>

#include "serve_test.h"

namespace headrace::serve {
namespace {

const char* const kBeginnings[] = {"It is a truth",   "She had never",  "Mr. Darcy looked at",
                                   "The morning was", "Emma could not", "In the evening"};

Json Request(size_t which, int tokens) {
  return {{"model", kDense},  {"prompt", kBeginnings[which]}, {"n_predict", tokens},
          {"temperature", 0}, {"ignore_eos", true},           {"cache_prompt", false}};
}

class Sharing : public ServeTest {
 protected:
  bool Start(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "6M"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return StartServer(arguments);
  }
  // All at the same time.
  std::vector<Answer> Together(const std::vector<Json>& requests) {
    std::vector<Answer> answers(requests.size());
    std::vector<std::thread> clients;
    for (size_t i = 0; i < requests.size(); ++i)
      clients.emplace_back([&, i] { answers[i] = Post("/completion", requests[i]); });
    for (std::thread& client : clients) client.join();
    return answers;
  }
  // Passes with more than one token.
  uint64_t WidePasses() {
    uint64_t passes = 0;
    const Json flash = Flash(kDense);
    for (const Json& width : flash["widths"]) {
      if (width["tokens"] > width["passes"]) passes += width["passes"].get<uint64_t>();
    }
    return passes;
  }
};

// Whatever their number, requests that share one KV cache have one KV cache.
TEST_F(Sharing, ASharedKvCacheIsForetoldOnce) {
  const auto foretold = [&](const std::string& slots, const std::string& more) {
    EXPECT_TRUE(Start({"--", "-c", "1280", "-np", slots, more}));
    const Json memory = Get(std::string("/api/v1/models/estimate?model=") + kDense).body["memory"];
    EXPECT_EQ(EndServer().status, 0);
    return memory["context_bytes"].get<uint64_t>();
  };
  const uint64_t one = foretold("1", "-kvu");
  EXPECT_GT(one, 0u);
  EXPECT_EQ(foretold("24", "-kvu"), one);
  EXPECT_GT(foretold("24", "-no-kvu"), 3 * one);
}

// With memory of its own for each slot, and plain kernels, the engine gives everybody the bits of a lonely request.
TEST_F(Sharing, TextsAreThoseOfLonelyRequests) {
  ASSERT_TRUE(Start({"--kernels", "plain", "--", "-np", "4", "-no-kvu"}));
  std::vector<Json> requests;
  std::vector<std::string> alone;
  for (size_t i = 0; i < 4; ++i) {
    requests.push_back(Request(i, 40));
    alone.push_back(Post("/completion", requests.back()).body["content"]);
  }
  const uint64_t before = WidePasses();
  const auto answers = Together(requests);
  for (size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i].body["content"], alone[i]) << answers[i].text;
  EXPECT_GT(WidePasses(), before + 20) << "their tokens were not in the same passes";
}

// What the user said goes before what is chosen, and is what the API shows.
TEST_F(Sharing, ThePassesAreAsWideAsTheUserSays) {
  ASSERT_TRUE(Start({"--", "-ub", "64"}));
  const Answer load = Load({{"model", kDense}, {"context_length", 512}});
  ASSERT_EQ(load.status, 200) << load.text;
  EXPECT_EQ(load.body["sharing"]["batch_tokens"], 64) << load.text;
  std::string prompt;
  for (int i = 0; i < 100; ++i) prompt += "It is a truth. ";
  Json request = Request(0, 1);
  request["prompt"] = prompt.substr(0, 1200);
  ASSERT_EQ(Post("/completion", request).status, 200);
  uint64_t widest = 0;
  const Json flash = Flash(kDense);
  for (const Json& width : flash["widths"])
    widest = std::max(widest, width["tokens"].get<uint64_t>() / width["passes"].get<uint64_t>());
  EXPECT_EQ(widest, 64u);
}

// With one slot nobody waits while a prompt is read: passes are as wide as `headrace plan` and `run` have them.
TEST_F(Sharing, OneSlotReadsPromptsAsRunDoes) {
  ASSERT_TRUE(Start({}));
  const Answer load = Load({{"model", kDense}, {"context_length", 4096}, {"slots", 1}});
  ASSERT_EQ(load.status, 200) << load.text;
  const Json width = load.body["sharing"]["batch_tokens"];
  ASSERT_TRUE(width.is_number()) << load.text;
  EXPECT_GE(width.get<uint64_t>(), 128u) << "llama-server's own is 512, a shared one 32 or more";
  std::string prompt;
  for (int i = 0; i < 500; ++i) prompt += "It is a truth. ";
  Json request = Request(0, 1);
  request["prompt"] = prompt.substr(0, 5000);
  ASSERT_EQ(Post("/completion", request).status, 200);
  uint64_t widest = 0;
  const Json flash = Flash(kDense);
  for (const Json& sums : flash["widths"])
    widest = std::max(widest, sums["tokens"].get<uint64_t>() / sums["passes"].get<uint64_t>());
  EXPECT_LE(widest, width.get<uint64_t>());
  EXPECT_GE(widest, std::min<uint64_t>(width.get<uint64_t>(), 512)) << flash["widths"];
}

TEST_F(Sharing, NobodyIsBrokenOffWhenTheKvCacheIsShort) {
  ASSERT_TRUE(Start({}));
  const Answer load = Load({{"model", kDense}, {"context_length", 512}});
  ASSERT_EQ(load.status, 200) << load.text;
  EXPECT_EQ(load.body["sharing"]["slots"], 4) << load.text;
  EXPECT_EQ(load.body["configuration"]["context_length"], 512) << load.text;
  ASSERT_LT(load.body["sharing"]["pool_tokens"], 1024) << "all of them fit at once";
  const uint64_t before = WidePasses();
  std::vector<Json> requests;
  for (size_t i = 0; i < 6; ++i) requests.push_back(Request(i, 200));
  for (const Answer& answer : Together(requests)) {
    EXPECT_EQ(answer.status, 200) << answer.text;
    EXPECT_EQ(answer.body["tokens_predicted"], 200) << answer.text;
    EXPECT_EQ(answer.body["truncated"], false) << answer.text;
  }
  EXPECT_GT(WidePasses(), before + 100);
}

// llama-server aborts when its batch does not hold what it sampled and drafted for all requests.
TEST_F(Sharing, TheBatchHoldsTheDraftsOfAllRequests) {
  ASSERT_TRUE(Start({"--", "-c", "2048"}));  // all at a time
  const Answer load = Load({{"model", kDense}, {"context_length", 512}, {"slots", 16}, {"draft_tokens", 7}});
  ASSERT_EQ(load.status, 200) << load.text;
  ASSERT_LT(load.body["sharing"]["batch_tokens"], 16 * 8) << "too wide to tell";
  std::vector<Json> requests;
  for (size_t i = 0; i < 16; ++i) {
    // What is said again and again is proposed.
    requests.push_back(Request(i % 6, 60));
    requests.back()["grammar"] = "root ::= (\"The carriage came to the door at nine. \")+";
  }
  for (const Answer& answer : Together(requests)) EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(EndServer().status, 0);
  ASSERT_TRUE(Start({"--", "-b", "32"}));
  const Answer refused = Load({{"model", kDense}, {"slots", 16}, {"draft_tokens", 7}});
  EXPECT_EQ(refused.status, 400) << refused.text;
  EXPECT_TRUE(Has(refused.Error(), "it holds 1")) << refused.text;
}

TEST_F(Sharing, WhoLeavesTheLineHoldsNobodyUp) {
  ASSERT_TRUE(Start({}));
  ASSERT_EQ(Load({{"model", kDense}, {"context_length", 2048}}).status, 200);
  Json endless = Request(0, 100000);
  endless["stream"] = true;
  HttpClient first(port_), second(port_);
  ASSERT_TRUE(first.Send("POST", "/completion", endless.dump()));
  ASSERT_EQ(first.ReadHead().status, 200);
  ASSERT_TRUE(second.Send("POST", "/completion", endless.dump()));
  ASSERT_TRUE(Eventually([&] { return Model(kDense)["loaded"]["requests_waiting"] == 1; }));
  second.Close();
  EXPECT_TRUE(Eventually([&] { return Model(kDense)["loaded"]["requests_waiting"] == 0; }));
  first.Close();
  EXPECT_EQ(Complete(kDense).status, 200);
}

// The second question of a conversation reads only what is new, also when others asked in between.
TEST_F(Sharing, PromptsAreReadOnce) {
  ASSERT_TRUE(Start({}));
  std::string book;
  for (int i = 0; i < 20; ++i) book += std::string(kBeginnings[i % 6]) + " and nobody was sorry for it. ";
  Json asked = Request(0, 4);
  asked["cache_prompt"] = true;
  asked["prompt"] = book;
  const Answer first = Post("/completion", asked);
  ASSERT_EQ(first.status, 200) << first.text;
  const int whole = first.body["timings"]["prompt_n"];
  EXPECT_GT(whole, 200);
  for (size_t i = 1; i < 3; ++i) EXPECT_EQ(Post("/completion", Request(i, 4)).status, 200);
  asked["prompt"] = book + "Emma could not";
  const Answer again = Post("/completion", asked);
  EXPECT_GE(again.body["timings"]["cache_n"].get<int>(), whole - 4) << again.text;
  EXPECT_LT(again.body["timings"]["prompt_n"].get<int>(), 20) << again.text;
}

}  // namespace
}  // namespace headrace::serve
