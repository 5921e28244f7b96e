// LM Studio's REST API.
#include <algorithm>

#include "serve_test.h"

namespace headrace::serve {
namespace {

using LmStudioApi = ServeTest;

void ExpectStats(const Json& json, const char* reason) {
  EXPECT_GT(json["stats"].value("tokens_per_second", 0.0), 0) << json;
  EXPECT_GT(json["stats"].value("generation_time", 0.0), 0) << json;
  EXPECT_GT(json["stats"].value("time_to_first_token", 0.0), 0) << json;
  EXPECT_EQ(json["stats"]["stop_reason"], reason) << json;
  EXPECT_EQ(json["model_info"]["quant"], "Q4_0") << json;
  EXPECT_EQ(json["runtime"]["supported_formats"], Json({"gguf"})) << json;
}

TEST_F(LmStudioApi, ListsModels) {
  ASSERT_TRUE(StartServer());
  const auto find = [&] {
    const Json list = Get("/api/v0/models").body["data"];
    const auto it = std::find_if(list.begin(), list.end(), [](const Json& model) { return model["id"] == kDense; });
    return it == list.end() ? Json::object() : *it;
  };
  Json model = find();
  EXPECT_EQ(model["type"], "llm");
  EXPECT_EQ(model["arch"], "llama");
  EXPECT_EQ(model["state"], "not-loaded");
  EXPECT_EQ(model["max_context_length"], 2048);
  EXPECT_EQ(Get(std::string("/api/v0/models/") + kDense).body, model);
  EXPECT_EQ(Get("/api/v0/models/none").status, 404);
  EXPECT_EQ(Post("/api/v0/models", Json::object()).status, 405);
  EXPECT_EQ(Get("/api/v0/completions").status, 405);
  EXPECT_EQ(Get("/api/v0/none").status, 404);
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  EXPECT_EQ(find()["state"], "loaded");
  EXPECT_EQ(find()["loaded_context_length"], 2048);
}

TEST_F(LmStudioApi, AnswersWithStatistics) {
  ASSERT_TRUE(StartServer());
  const Json talk = {{"model", kDense},
                     {"messages", {{{"role", "user"}, {"content", "It is a truth"}}}},
                     {"max_tokens", 6},
                     {"temperature", 0}};
  Answer answer = Post("/api/v0/chat/completions", talk);
  ASSERT_EQ(answer.status, 200) << answer.text;
  ExpectStats(answer.body, "maxPredictedTokensReached");
  const std::string text = answer.body["choices"][0]["message"]["content"];
  EXPECT_EQ(Post("/v1/chat/completions", talk).body["choices"][0]["message"]["content"], text);
  answer = Post("/api/v0/completions", {{"model", kDense}, {"prompt", "It is"}, {"max_tokens", 100}, {"stop", {" "}}});
  ASSERT_EQ(answer.status, 200) << answer.text;
  ExpectStats(answer.body, "eosFound");
  EXPECT_EQ(Post("/api/v0/embeddings", {{"model", kDense}, {"input", "x"}}).body["data"][0]["embedding"].size(), 512u);

  Json stream = talk;
  stream["stream"] = true;
  answer = Post("/api/v0/chat/completions", stream);
  EXPECT_TRUE(Has(answer.text, "data: [DONE]\n\n")) << answer.text;
  std::string pieces;
  Json last;
  for (size_t at = answer.text.find("data: {"); at != std::string::npos; at = answer.text.find("data: {", at + 1)) {
    last = Json::parse(answer.text.substr(at + 6, answer.text.find('\n', at) - at - 6));
    if (!last["choices"].empty())
      pieces += last["choices"][0]["delta"].contains("content") && last["choices"][0]["delta"]["content"].is_string()
                    ? last["choices"][0]["delta"]["content"].get<std::string>()
                    : "";
  }
  EXPECT_EQ(pieces, text);
  ExpectStats(last, "maxPredictedTokensReached");
}

TEST_F(LmStudioApi, WhatIsWrongIsSaid) {
  ASSERT_TRUE(StartServer());
  for (const char* path : {"/api/v0/chat/completions", "/api/v0/completions", "/api/v0/embeddings"}) {
    EXPECT_EQ(Ask("POST", path, "{").status, 400) << path;
    EXPECT_EQ(Ask("POST", path, R"({"model": 7})").status, 400) << path;
    EXPECT_EQ(Post(path, {{"prompt", "x"}}).status, 400) << path << " names none of several";
    const Answer unknown = Post(path, {{"model", "austen-dens"}});
    EXPECT_EQ(unknown.status, 404) << path;
    EXPECT_TRUE(Has(unknown.Error(), kDense)) << unknown.text;
  }
  EXPECT_TRUE(Children().empty());
  EXPECT_EQ(Post("/api/v0/chat/completions", {{"model", kDense}}).status, 400) << "llama-server's own refusal";
}

}  // namespace
}  // namespace headrace::serve
