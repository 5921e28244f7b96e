// What happens to requests that have to wait: for their turn, for a load, for another model's memory.
#include <filesystem>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class WaitingRequests : public ServeTest {
 protected:
  bool Start(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "4M"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return StartServer(arguments);
  }
  // A slow answer that has begun. With one slot all others wait for it.
  bool Occupy(HttpClient& client) {
    const Json body = {
        {"model", kDense}, {"prompt", "It is"}, {"n_predict", -1}, {"ignore_eos", true}, {"stream", true}};
    return client.Send("POST", "/completion", body.dump()) && client.ReadHead().status == 200 &&
           client.ReadUntil("data: ");
  }
  Json Chat(bool stream) {
    return {{"model", kDense},
            {"messages", {{{"role", "user"}, {"content", "It is"}}}},
            {"max_tokens", 4},
            {"options", {{"num_predict", 4}}},
            {"stream", stream}};
  }
};

TEST_F(WaitingRequests, StreamsBeginBeforeTheirTurn) {
  environment_["HEADRACE_FAULT"] = "delay_us=5000";
  ASSERT_TRUE(Start({"--", "-np", "1"}));
  HttpClient first(port_), openai(port_), asking(port_), ollama(port_);
  ASSERT_TRUE(Occupy(first));
  openai.Send("POST", "/v1/chat/completions", Chat(true).dump());
  EXPECT_EQ(openai.ReadHead().status, 200);
  EXPECT_TRUE(openai.ReadUntil(": waiting for its turn, number 1 in line")) << openai.body();
  EXPECT_FALSE(Has(openai.body(), "data:")) << openai.body();
  Json body = Chat(true);
  body["return_progress"] = true;
  asking.Send("POST", "/v1/chat/completions", body.dump());
  EXPECT_EQ(asking.ReadHead().status, 200);
  EXPECT_TRUE(asking.ReadUntil("\"waiting\":{")) << asking.body();
  EXPECT_TRUE(Has(asking.body(), "\"place\":2")) << asking.body();
  ollama.Send("POST", "/api/chat", Chat(true).dump());
  EXPECT_EQ(ollama.ReadHead().headers["content-type"], "application/x-ndjson");
  EXPECT_EQ(ollama.ReadPiece(), " ");
  first.Close();
  EXPECT_TRUE(openai.ReadUntil("[DONE]")) << openai.body();
  EXPECT_TRUE(ollama.ReadUntil("\"done\":true")) << ollama.body();
}

// A prompt and a token that take more than five seconds each, of requests that never wait for their turn.
TEST_F(WaitingRequests, SlowPassesAreNoSilence) {
  environment_["HEADRACE_FAULT"] = "delay_us=300000";
  ASSERT_TRUE(Start({"--", "-np", "1"}));
  ASSERT_EQ(Load({{"model", kDense}}).status, 200);
  Json body = Chat(true);
  body["max_tokens"] = 2;
  HttpClient openai(port_);
  openai.Send("POST", "/v1/chat/completions", body.dump());
  EXPECT_EQ(openai.ReadHead().status, 200);
  EXPECT_TRUE(openai.ReadUntil(": the next token is computed\n\n")) << openai.body();
  EXPECT_TRUE(Has(openai.body(), "}\n\n: the next token")) << openai.body();
  EXPECT_TRUE(openai.ReadUntil("[DONE]")) << openai.body();
  HttpClient ollama(port_);
  ollama.Send("POST", "/api/chat", Chat(true).dump());
  EXPECT_EQ(ollama.ReadHead().status, 200);
  EXPECT_EQ(ollama.ReadPiece(), " ");
}

TEST_F(WaitingRequests, TheLineIsBounded) {
  environment_["HEADRACE_FAULT"] = "delay_us=5000";
  ASSERT_TRUE(Start({"--queue-max", "1", "--queue-timeout", "3s", "--", "-np", "1"}));
  HttpClient first(port_), second(port_);
  ASSERT_TRUE(Occupy(first));
  second.Send("POST", "/v1/messages", Chat(true).dump());
  EXPECT_EQ(second.ReadHead().status, 200);
  for (const char* path : {"/v1/chat/completions", "/v1/messages", "/api/chat"}) {
    const Answer full = Post(path, Chat(false));
    EXPECT_EQ(full.status, 429) << full.text;
    ASSERT_TRUE(full.headers.contains("retry-after")) << path;
    EXPECT_GE(std::stoi(full.headers.at("retry-after")), 1);
    EXPECT_EQ(full.body.value("type", ""), path == std::string("/v1/messages") ? "error" : "") << full.text;
    EXPECT_EQ(full.body["error"].is_string(), path == std::string("/api/chat")) << full.text;
  }
  // Who waited too long is told in the stream, in the API's words.
  EXPECT_TRUE(second.ReadUntil("--queue-timeout")) << second.body();
  EXPECT_TRUE(Has(second.body(), "event: error\ndata: {")) << second.body();
}

TEST_F(WaitingRequests, WhatCannotBeAnsweredKeepsItsStatus) {
  ASSERT_TRUE(Start({}));
  Json body = Chat(true);
  body["model"] = "none";
  EXPECT_EQ(Post("/v1/chat/completions", body).status, 404);
  ASSERT_EQ(Load({{"model", kDense}}).status, 200);
  body = {{"model", kDense}, {"prompt", std::string(40'000, 'a')}, {"stream", true}};
  const Answer long_prompt = Post("/v1/completions", body);
  EXPECT_EQ(long_prompt.status, 400) << long_prompt.text;
  EXPECT_TRUE(Has(long_prompt.Error(), "context_length")) << long_prompt.text;
}

TEST_F(WaitingRequests, AnAnswerWithoutALimitGetsOne) {
  ASSERT_TRUE(Start({"--answer-max", "5"}));
  Json body = {{"model", kDense}, {"prompt", "It is"}, {"ignore_eos", true}};
  const Answer limited = Post("/v1/completions", body);
  EXPECT_EQ(limited.body["usage"]["completion_tokens"], 5) << limited.text;
  EXPECT_EQ(limited.body["choices"][0]["finish_reason"], "length") << limited.text;
  body["max_tokens"] = 9;
  EXPECT_EQ(Post("/v1/completions", body).body["usage"]["completion_tokens"], 9);
}

TEST_F(WaitingRequests, ALongAnswerMakesRoomForAnotherModel) {
  environment_["HEADRACE_FAULT"] = "delay_us=5000";
  ASSERT_TRUE(Start({"--evict-after", "1s"}));
  HttpClient first(port_);
  ASSERT_TRUE(Occupy(first));
  EXPECT_EQ(Complete(kMoe, 1).status, 200);
  EXPECT_TRUE(first.ReadUntil("--evict-after")) << first.body();
  EXPECT_TRUE(Has(first.body(), "\"error\"")) << first.body();
}

TEST_F(WaitingRequests, OpenAisClientWaits) {
  const std::string modules = HEADRACE_NODE_MODULES;
  if (!std::filesystem::exists(modules + "/openai"))
    GTEST_SKIP() << "no " << modules << "/openai: run scripts/install-node-packages.sh";
  environment_["HEADRACE_FAULT"] = "delay_us=5000";
  ASSERT_TRUE(Start({"--", "-np", "1"}));
  environment_["NODE_MODULES"] = modules;
  environment_["BASE_URL"] = "http://127.0.0.1:" + std::to_string(port_) + "/v1";
  const cli::Outcome outcome = Shell("node '" + std::string(HEADRACE_SOURCE_DIR) + "/tests/serve/waiting_client.mjs'");
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_TRUE(Has(outcome.out, "all right")) << outcome.out;
}

}  // namespace
}  // namespace headrace::serve
