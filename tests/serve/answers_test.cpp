// What llama-server can do comes through the port as it is.
#include <thread>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class Answers : public ServeTest {
 protected:
  Answer Chat(const Json& more = Json::object()) {
    Json body = {{"model", kDense},
                 {"messages", {{{"role", "user"}, {"content", "It is a truth"}}}},
                 {"max_tokens", 12},
                 {"temperature", 0}};
    body.update(more);
    return Post("/v1/chat/completions", body);
  }
};

TEST_F(Answers, EveryKind) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "6M"}));
  Answer answer = Chat();
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_FALSE(answer.body["choices"][0]["message"]["content"].get<std::string>().empty());
  EXPECT_EQ(answer.headers["content-type"], "application/json; charset=utf-8");

  answer = Chat({{"logprobs", true}, {"top_logprobs", 3}});
  EXPECT_EQ(answer.body["choices"][0]["logprobs"]["content"][0]["top_logprobs"].size(), 3u) << answer.text;

  const std::string text = Complete(kDense, 12).body["choices"][0]["text"];
  const std::string stop = text.substr(text.find(' ', 4) + 1, 4);
  answer =
      Post("/v1/completions", {{"prompt", "It is a truth"}, {"max_tokens", 12}, {"temperature", 0}, {"stop", {stop}}});
  EXPECT_EQ(answer.body["choices"][0]["finish_reason"], "stop") << answer.text;
  EXPECT_FALSE(Has(answer.body["choices"][0]["text"], stop)) << answer.text;

  answer = Post("/completion", {{"prompt", "Yes or no?"}, {"n_predict", 4}, {"grammar", "root ::= \"yes\" | \"no\""}});
  EXPECT_TRUE(answer.body["content"] == "yes" || answer.body["content"] == "no") << answer.text;

  const Json schema = {{"enum", {"yes", "no"}}};
  answer = Chat({{"response_format", {{"type", "json_schema"}, {"json_schema", {{"schema", schema}}}}}});
  const std::string content = answer.body["choices"][0]["message"]["content"];
  EXPECT_TRUE(content == "\"yes\"" || content == "\"no\"") << answer.text;

  const Json tool = {
      {"type", "function"},
      {"function", {{"name", "look"}, {"parameters", {{"type", "object"}, {"properties", Json::object()}}}}}};
  // The bundled model has never seen a tool: that they are taken is all it can show.
  EXPECT_EQ(Chat({{"tools", {tool}}}).status, 200);
  EXPECT_GE(Chat({{"tools", "none"}}).status, 400) << "llama-server looks at them";

  answer = Post("/v1/messages",
                {{"model", kDense}, {"max_tokens", 5}, {"messages", {{{"role", "user"}, {"content", "It is"}}}}});
  EXPECT_EQ(answer.body["type"], "message") << answer.text;

  EXPECT_EQ(Post("/tokenize", {{"content", "It is"}}).body["tokens"].size(), 2u);
  EXPECT_TRUE(Get("/props").body.contains("total_slots"));
  EXPECT_TRUE(Get("/slots").body.is_array());
  EXPECT_TRUE(Has(Get(std::string("/metrics?model=") + kDense).text, "llamacpp:prompt_tokens_total"));
  // llama-server's own refusal, unchanged.
  EXPECT_EQ(Post("/v1/embeddings", {{"model", kDense}, {"input", "x"}}).status, 501);
  EXPECT_EQ(Post("/v1/chat/completions", {{"model", kDense}}).status, 400);
  EXPECT_GT(BytesRead(kDense), 0u);
}

TEST_F(Answers, StreamedWeightsGiveTheTextOfUnstreamedOnes) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--kernels", "repack"}));
  ASSERT_EQ(Load({{"model", kDense}, {"flash_mode", "off"}}).status, 200);
  const Answer stock = Complete(kDense, 32);
  ASSERT_EQ(stock.status, 200) << stock.text;
  EXPECT_TRUE(Flash(kDense).is_null()) << "the library is not there";
  ASSERT_EQ(Load({{"model", kDense}, {"flash_mode", "on"}, {"flash_ram_gb", 0.004}}).status, 200);
  const Answer streamed = Complete(kDense, 32);
  EXPECT_EQ(streamed.body["choices"][0]["text"], stock.body["choices"][0]["text"]);
  EXPECT_GT(BytesRead(kDense), 0u);
}

TEST_F(Answers, EventsArriveWhileTheAnswerIsMade) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "2M"}));
  HttpClient client(port_);
  const Json body = {
      {"model", kDense}, {"prompt", "It is"}, {"max_tokens", 1000}, {"stream", true}, {"ignore_eos", true}};
  ASSERT_TRUE(client.Send("POST", "/v1/completions", body.dump()));
  const HttpResponse head = client.ReadHead();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-type"), "text/event-stream");
  ASSERT_TRUE(client.ReadUntil("data: "));
  EXPECT_FALSE(Has(client.body(), "[DONE]"));
  EXPECT_EQ(Model(kDense)["loaded"]["requests"], 1) << "the model still writes";
  ASSERT_TRUE(client.ReadUntil("\n\ndata: {\"choices\":[{\"text\"")) << client.body();
  EXPECT_FALSE(Has(client.body(), "[DONE]"));
  // Closing the connection ends the work.
  client.Close();
  const auto idle = [&] {
    for (const Json& slot : Get("/slots").body) {
      if (slot["is_processing"].get<bool>()) return false;
    }
    return true;
  };
  EXPECT_TRUE(Eventually(idle));
  EXPECT_TRUE(Eventually([&] { return Model(kDense)["loaded"]["requests"] == 0; }));
  EXPECT_LT(Flash(kDense)["decode_tokens"].get<int>(), 900) << "it did not write on to the end";
}

TEST_F(Answers, AClientThatLeavesBeforeTheAnswerBeginsEndsTheWorkToo) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "2M"}));
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  HttpClient client(port_);
  const Json body = {{"model", kDense}, {"prompt", "It is"}, {"max_tokens", 1000}, {"ignore_eos", true}};
  ASSERT_TRUE(client.Send("POST", "/v1/completions", body.dump()));
  ASSERT_TRUE(Eventually([&] { return Flash(kDense)["decode_tokens"].get<int>() > 3; }));
  client.Close();
  EXPECT_TRUE(Eventually([&] { return Model(kDense)["loaded"]["requests"] == 0; }));
  EXPECT_LT(Flash(kDense)["decode_tokens"].get<int>(), 900);
}

TEST_F(Answers, OneConnectionCarriesManyRequests) {
  ASSERT_TRUE(StartServer());
  HttpClient client(port_);
  const std::string body = Json{{"model", kDense}, {"prompt", "It is"}, {"max_tokens", 2}}.dump();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.Send("POST", "/v1/completions", body));
    EXPECT_EQ(client.Read().status, 200);
    ASSERT_TRUE(client.Send("GET", "/v1/models"));
    EXPECT_EQ(client.Read().status, 200);
  }
}

}  // namespace
}  // namespace headrace::serve
