// Ollama's API: its client library, and what that does not say.
#include <csignal>
#include <filesystem>

#include "local_hub.h"
#include "serve_test.h"

namespace headrace::serve {
namespace {

class OllamaApi : public ServeTest {
 protected:
  static Json Chat(const Json& more = Json::object()) {
    Json body = {{"model", kDense},
                 {"messages", {{{"role", "user"}, {"content", "It is a truth"}}}},
                 {"options", {{"num_predict", 6}, {"temperature", 0}}},
                 {"stream", false}};
    body.update(more);
    return body;
  }
  static std::vector<Json> Lines(const std::string& text) {
    std::vector<Json> lines;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      lines.push_back(Json::parse(text.substr(at, end - at), nullptr, false));
      at = end == std::string::npos ? text.size() : end + 1;
    }
    return lines;
  }
};

TEST_F(OllamaApi, ItsClientTalksToTheServer) {
  const std::string modules = HEADRACE_NODE_MODULES;
  ASSERT_EQ(Shell("command -v node").status, 0) << "node is not installed";
  if (!std::filesystem::exists(modules + "/ollama"))
    GTEST_SKIP() << "no " << modules << "/ollama: run scripts/install-node-packages.sh";
  ASSERT_TRUE(StartServer());
  environment_["NODE_MODULES"] = modules;
  environment_["HOST"] = "http://127.0.0.1:" + std::to_string(port_);
  const cli::Outcome outcome = Shell("node '" + std::string(HEADRACE_SOURCE_DIR) + "/tests/serve/ollama_client.mjs'");
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_TRUE(Has(outcome.out, "all right")) << outcome.out;
}

TEST_F(OllamaApi, IsThere) {
  ASSERT_TRUE(StartServer());
  EXPECT_EQ(Ask("HEAD", "/").status, 200);
  EXPECT_EQ(Ask("HEAD", "/api/version").status, 200);
  EXPECT_FALSE(Get("/api/version").body.value("version", "").empty());
  EXPECT_EQ(Get("/api/v1/models").status, 200) << "our own stays";
  for (const char* path : {"/api/tags", "/api/ps", "/api/version"})
    EXPECT_EQ(Ask("POST", path, "{}").status, 405) << path;
  for (const char* path : {"/api/chat", "/api/generate", "/api/show", "/api/embed", "/api/embeddings"})
    EXPECT_EQ(Get(path).status, 405) << path;
  EXPECT_TRUE(Children().empty()) << "looking loads nothing";
}

TEST_F(OllamaApi, StreamsUnlessItIsToldNotTo) {
  ASSERT_TRUE(StartServer());
  Json body = Chat();
  body.erase("stream");
  const Answer answer = Post("/api/chat", body);
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.headers.at("content-type"), "application/x-ndjson");
  const auto lines = Lines(answer.text);
  ASSERT_GT(lines.size(), 2u) << answer.text;
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["done"], i + 1 == lines.size()) << answer.text;
    EXPECT_EQ(lines[i]["model"], kDense);
  }
  EXPECT_EQ(lines.back()["eval_count"], 6);
  // The same request of OpenAI's API has the same answer.
  Json other = body;
  other.erase("options");
  other.update({{"max_tokens", 6}, {"temperature", 0}});
  const std::string text = Post("/v1/chat/completions", other).body["choices"][0]["message"]["content"];
  std::string pieces;
  for (const Json& line : lines) pieces += line["message"]["content"].get<std::string>();
  EXPECT_EQ(pieces, text);
}

TEST_F(OllamaApi, ToolsAreCalled) {
  ASSERT_TRUE(StartServer());
  const Json tool = {
      {"type", "function"},
      {"function",
       {{"name", "look"},
        {"description", "Looks"},
        {"parameters",
         {{"type", "object"}, {"properties", {{"at", {{"enum", {"sea", "sky"}}}}}}, {"required", {"at"}}}}}}};
  // The bundled model has never seen a tool: what was said of an earlier call is understood, and an answer comes.
  const Json talk = {{{"role", "user"}, {"content", "Look"}},
                     {{"role", "assistant"},
                      {"content", ""},
                      {"tool_calls", {{{"function", {{"name", "look"}, {"arguments", {{"at", "sea"}}}}}}}}},
                     {{"role", "tool"}, {"tool_name", "look"}, {"content", "blue"}}};
  for (const bool stream : {true, false}) {
    const Answer answer = Post("/api/chat", Chat({{"messages", talk}, {"tools", {tool}}, {"stream", stream}}));
    EXPECT_EQ(answer.status, 200) << answer.text;
    EXPECT_TRUE(Lines(answer.text).back()["done"]) << answer.text;
  }
  EXPECT_EQ(Post("/api/chat", Chat({{"tools", "none"}})).status, 400);
  EXPECT_EQ(
      Post("/api/chat", Chat({{"messages", {{{"role", "assistant"}, {"tool_calls", {{{"name", "look"}}}}}}}})).status,
      400);
}

TEST_F(OllamaApi, WhatIsWrongIsSaid) {
  ASSERT_TRUE(StartServer());
  const char* paths[] = {"/api/chat", "/api/generate", "/api/show", "/api/embed", "/api/embeddings"};
  for (const char* path : paths) {
    for (const char* body : {"", "{", "[]", "7", R"({"model": 7})", R"({})", "{\"model\": \"\xff\"}"}) {
      const Answer answer = Ask("POST", path, body);
      EXPECT_EQ(answer.status, 400) << path << body;
      EXPECT_TRUE(answer.body["error"].is_string()) << path << body << answer.text;
    }
    const Answer unknown = Post(path, {{"model", "austen-dens"}, {"prompt", "x"}, {"input", "x"}});
    EXPECT_EQ(unknown.status, 404) << path;
    EXPECT_TRUE(Has(unknown.body["error"], kDense)) << unknown.text;
  }
  const Json wrong[] = {{{"stream", "yes"}},
                        {{"messages", "x"}},
                        {{"messages", {7}}},
                        {{"messages", {{{"content", "x"}}}}},
                        {{"options", 7}},
                        {{"options", {{"num_predict", "x"}}}},
                        {{"options", {{"num_predict", 1.5}}}},
                        {{"options", {{"num_ctx", 0}}}},
                        {{"options", {{"stop", 7}}}},
                        {{"options", {{"flash_mode", "maybe"}}}},
                        {{"options", {{"flash_ram_gb", -1}}}},
                        {{"format", 7}},
                        {{"think", 7}},
                        {{"keep_alive", true}},
                        {{"messages", {{{"role", "user"}, {"content", "x"}, {"images", "x"}}}}}};
  for (const Json& each : wrong) {
    const Answer answer = Post("/api/chat", Chat(each));
    EXPECT_EQ(answer.status, 400) << each << answer.text;
    EXPECT_TRUE(answer.body["error"].is_string()) << answer.text;
  }
  for (const Json& each : {Json{{"template", "x"}}, Json{{"context", {1}}}, Json{{"raw", "x"}}, Json{{"prompt", 7}}}) {
    Json body = {{"model", kDense}, {"prompt", "x"}};
    body.update(each);
    EXPECT_EQ(Post("/api/generate", body).status, 400) << each;
  }
  EXPECT_TRUE(Children().empty()) << "nothing of this loads a model";
  // llama-server's own words, in Ollama's shape.
  Answer answer = Post("/api/generate", {{"model", kDense}, {"prompt", "x"}, {"suffix", "y"}});
  EXPECT_GE(answer.status, 400);
  EXPECT_TRUE(answer.body["error"].is_string()) << answer.text;
  // What is not known is left out, as Ollama does.
  EXPECT_EQ(Post("/api/chat", Chat({{"options", {{"num_gpu", 99}, {"num_predict", 2.0}, {"wonder", 1}}}})).status, 200);
}

TEST_F(OllamaApi, OptionsSayHowTheModelIsLoaded) {
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(
      Post("/api/chat",
           Chat({{"options", {{"num_predict", 2}, {"flash_mode", "on"}, {"flash_ram_gb", 0.004}, {"num_ctx", 512}}}}))
          .status,
      200);
  EXPECT_TRUE(Flash(kDense).is_object());
  EXPECT_EQ(Model(kDense)["loaded"]["configuration"]["context_length"], 512);
  EXPECT_GT(BytesRead(kDense), 0u);
  const auto children = Children();
  // Others do not mind.
  EXPECT_EQ(Post("/api/chat", Chat({{"options", {{"num_predict", 2}, {"num_ctx", 256}}}})).status, 200);
  EXPECT_EQ(Children(), children);
  EXPECT_EQ(Post("/api/chat", Chat({{"options", {{"num_predict", 2}, {"num_ctx", 1024}}}})).status, 200);
  EXPECT_EQ(Model(kDense)["loaded"]["configuration"]["context_length"], 1024);
  EXPECT_EQ(Model(kDense)["loaded"]["configuration"]["flash_mode"], "on") << "the rest stays";
  EXPECT_EQ(Model(kDense)["remembered"], Json::object()) << "nothing of it is remembered";
}

// A hub on this machine that has the bundled model.
class OllamaPull : public OllamaApi {
 protected:
  void SetUp() override {
    OllamaApi::SetUp();
    hub_.Start(CommandTest::Model());
    environment_["HF_ENDPOINT"] = hub_.address();
    environment_["HEADRACE_MODELS_DIR"] = Models();
  }

  LocalHub hub_{tree_};
};

TEST_F(OllamaPull, AModelCanBeAskedAtOnce) {
  hub_.Delay(0.05);
  ASSERT_TRUE(StartServer({}));
  const Answer answer = Post("/api/pull", {{"model", "hf.co/u/austen-GGUF:latest"}});
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.headers.at("content-type"), "application/x-ndjson");
  const auto lines = Lines(answer.text);
  EXPECT_EQ(lines.front()["status"], "pulling manifest") << answer.text;
  EXPECT_EQ(lines.back(), Json({{"status", "success"}})) << answer.text;
  uint64_t before = 0;
  for (const Json& line : lines) {
    if (!line.contains("completed")) continue;
    EXPECT_EQ(line["total"], std::filesystem::file_size(CommandTest::Model())) << line;
    EXPECT_GE(line["completed"], before) << line;
    before = line["completed"];
  }
  EXPECT_GT(before, 0u) << answer.text;
  EXPECT_EQ(
      Post("/api/generate",
           {{"model", "hf:u/austen-GGUF"}, {"prompt", "It"}, {"stream", false}, {"options", {{"num_predict", 1}}}})
          .status,
      200);
  EXPECT_EQ(Post("/api/pull", {{"name", "hf.co/u/austen-GGUF"}, {"stream", false}}).body, Json({{"status", "success"}}))
      << "it is there";
}

TEST_F(OllamaPull, AClientThatGoesAwayStopsIt) {
  hub_.Delay(0.05);
  ASSERT_TRUE(StartServer({}));
  {
    HttpClient client(port_);
    client.Send("POST", "/api/pull", R"({"model": "u/austen-GGUF"})");
    client.ReadHead();
    EXPECT_TRUE(client.ReadUntil("completed")) << client.body();
  }
  hub_.Delay(0);
  const Answer answer = Post("/api/pull", {{"model", "u/austen-GGUF"}});
  EXPECT_EQ(Lines(answer.text).back(), Json({{"status", "success"}})) << answer.text;
  // The server's end stops one too.
  std::filesystem::remove_all(tree_.Path("home/.cache/huggingface/hub"));
  hub_.Delay(0.05);
  HttpClient client(port_);
  client.Send("POST", "/api/pull", R"({"model": "u/austen-GGUF"})");
  client.ReadHead();
  EXPECT_TRUE(client.ReadUntil("completed"));
  EXPECT_EQ(EndServer().status, 0);
  while (!client.ReadPiece().empty()) {
  }
  EXPECT_TRUE(Has(client.body(), "error")) << client.body();
}

TEST_F(OllamaPull, WhatIsWrongIsSaid) {
  ASSERT_TRUE(StartServer({}));
  for (const char* name : {"qwen3:30b-new", "https://example.org/x.gguf", "../x/y", "a/b/c", "hf.co/"}) {
    const Answer answer = Post("/api/pull", {{"model", name}});
    EXPECT_EQ(answer.status, 400) << name << answer.text;
    EXPECT_TRUE(Has(answer.body["error"], "hf.co/USER/NAME")) << answer.text;
  }
  EXPECT_EQ(Post("/api/pull", {{"model", kDense}, {"stream", false}}).status, 200) << "one that is here";
  EXPECT_EQ(Post("/api/pull", {{"model", "u/none-GGUF"}, {"stream", false}}).status, 404);
  EXPECT_TRUE(Lines(Post("/api/pull", {{"model", "u/none-GGUF"}}).text).back().contains("error"));
  EXPECT_EQ(EndServer().status, 0);
  ASSERT_TRUE(StartServer());
  EXPECT_TRUE(Has(Post("/api/pull", {{"model", "u/austen-GGUF"}}).body["error"], "--models-dir"))
      << "what is not offered is not fetched";
}

TEST_F(OllamaApi, KeepAliveUnloads) {
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(Post("/api/chat", Chat({{"keep_alive", 0}})).status, 200);
  EXPECT_TRUE(Eventually([&] { return Model(kDense)["state"] == "unloaded"; }));
  ASSERT_EQ(Post("/api/chat", Chat({{"keep_alive", "1s"}})).status, 200);
  EXPECT_TRUE(Eventually([&] { return Model(kDense)["state"] == "unloaded"; }));
}

}  // namespace
}  // namespace headrace::serve
