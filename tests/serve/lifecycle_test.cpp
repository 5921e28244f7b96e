// Loading, making room, unloading, crashes, the end.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class Lifecycle : public ServeTest {
 protected:
  static std::string Endless(const std::string& model, bool stream = true) {
    return Json{{"model", model}, {"prompt", "It is"}, {"max_tokens", 1500}, {"stream", stream}, {"ignore_eos", true}}
        .dump();
  }
};

TEST_F(Lifecycle, TheLeastRecentlyUsedMakesRoom) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--models-max", "2"}));
  for (const char* id : {kDense, kMoe}) ASSERT_EQ(Complete(id, 1).status, 200);
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  ASSERT_EQ(Complete(kDraft, 1).status, 200);
  EXPECT_EQ(Model(kDense)["state"], "loaded");
  EXPECT_EQ(Model(kMoe)["state"], "unloaded");
  EXPECT_EQ(Model(kDraft)["state"], "loaded");
  EXPECT_EQ(Children().size(), 2u);
  EXPECT_EQ(Post("/api/v1/models/unload", {{"model", kDense}}).body["state"], "unloaded");
  EXPECT_EQ(Model(kDense)["state"], "unloaded");
  EXPECT_EQ(Children().size(), 1u);
  EXPECT_FALSE(Post("/api/v1/models/unload", {{"model", kDense}}).body["was_loaded"].get<bool>());
}

TEST_F(Lifecycle, ABusyModelFinishesBeforeItMakesRoom) {
  ASSERT_TRUE(StartServer());
  HttpClient client(port_);
  client.Send(
      "POST", "/v1/completions",
      Json{{"model", kDense}, {"prompt", "It is"}, {"max_tokens", 200}, {"stream", true}, {"ignore_eos", true}}.dump());
  ASSERT_TRUE(client.ReadHead().status == 200 && client.ReadUntil("data: "));
  EXPECT_EQ(Complete(kMoe, 1).status, 200);
  EXPECT_TRUE(client.ReadUntil("[DONE]")) << "nothing was cut off";
  EXPECT_EQ(Model(kDense)["state"], "unloaded");
}

TEST_F(Lifecycle, ManyAskForAModelThatIsNotLoaded) {
  ASSERT_TRUE(StartServer());
  std::vector<std::thread> clients;
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back([&, i] { EXPECT_EQ(Complete(i % 3 == 0 ? kDraft : kDense, 2).status, 200); });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(Children().size(), 1u);
}

TEST_F(Lifecycle, IdleModelsAreUnloaded) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--ttl", "1s"}));
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  EXPECT_TRUE(Eventually([&] { return Model(kDense)["state"] == "unloaded"; }));
  EXPECT_TRUE(Children().empty());
  EXPECT_EQ(Complete(kDense, 1).status, 200);
}

TEST_F(Lifecycle, UnloadingByForceBreaksRequestsOff) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "1M"}));
  HttpClient client(port_);
  client.Send("POST", "/v1/completions", Endless(kDense));
  ASSERT_TRUE(client.ReadHead().status == 200 && client.ReadUntil("data: "));
  EXPECT_EQ(Post("/api/v1/models/unload", {{"model", kDense}, {"force", true}}).status, 200);
  EXPECT_TRUE(client.ReadUntil("was unloaded")) << client.body();
  EXPECT_FALSE(Has(client.body(), "[DONE]"));
}

// Whoever starts it may have SIGTERM blocked; a llama-server that is ending already takes no other one.
TEST_F(Lifecycle, NoModelOutlivesAServerThatIsKilled) {
  const cli::BlockedSignal blocked(SIGTERM);
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  const auto children = Children();
  ASSERT_EQ(children.size(), 1u);
  server_->SignalCommand(SIGKILL);
  server_->Finish();
  EXPECT_TRUE(Eventually([&] { return kill(children[0], 0) != 0; }));
  kill(children[0], SIGKILL);
}

TEST_F(Lifecycle, ACrashIsReportedAtOnceAndMended) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "1M"}));
  HttpClient stream(port_), whole(port_);
  stream.Send("POST", "/v1/completions", Endless(kDense));
  ASSERT_TRUE(stream.ReadHead().status == 200 && stream.ReadUntil("data: "));
  whole.Send("POST", "/v1/completions", Endless(kDense, false));
  ASSERT_TRUE(Eventually([&] { return Model(kDense)["loaded"]["requests"] == 2; }));
  const auto children = Children();
  ASSERT_EQ(children.size(), 1u);
  kill(children.front(), SIGSEGV);
  // An event where the answer had begun, a status where not.
  EXPECT_TRUE(stream.ReadUntil("\"error\"")) << stream.body();
  stream.ReadPiece();
  EXPECT_TRUE(Has(stream.body(), "crashed")) << stream.body();
  EXPECT_TRUE(stream.complete());
  const HttpResponse answer = whole.Read();
  EXPECT_EQ(answer.status, 502);
  EXPECT_TRUE(Has(answer.body, "crashed")) << answer.body;
  // Later ones learn when it is back, or have it back.
  const Answer later = Complete(kDense, 1);
  EXPECT_TRUE(later.status == 200 || (later.status == 503 && later.headers.contains("retry-after"))) << later.text;
  EXPECT_EQ(Get("/health").status, 200);
  EXPECT_TRUE(Eventually([&] { return Complete(kDense, 1).status == 200; }));
  EXPECT_EQ(Model(kDense)["loaded"]["restarts"], 1);
  EXPECT_GT(BytesRead(kDense), 0u) << "it streams again";
  EXPECT_EQ(EndServer().status, 0);
}

TEST_F(Lifecycle, AModelThatCannotBeLoadedSaysWhy) {
  // Sound headers, but no llama.cpp knows the architecture.
  std::ifstream source(CommandTest::Model(), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(source), {}};
  for (size_t at = bytes.find("llama"); at != std::string::npos && at < 8192; at = bytes.find("llama", at))
    bytes.replace(at, 5, "lhama");
  tree_.File("models/odd.gguf", bytes);
  ASSERT_TRUE(StartServer({"--models-dir", tree_.Path("models")}));
  const Answer answer = Complete("odd");
  EXPECT_EQ(answer.status, 500);
  EXPECT_TRUE(Has(answer.Error(), "unknown model architecture")) << answer.text;
  EXPECT_TRUE(Has(Model("odd")["error"], "unknown model architecture"));
  EXPECT_TRUE(Children().empty());
}

TEST_F(Lifecycle, TheEndWaitsForAnswersAndLeavesNothing) {
  const std::string sockets = tree_.Path("run");
  tree_.File("run/placeholder");
  environment_["XDG_RUNTIME_DIR"] = sockets;
  ASSERT_TRUE(StartServer());
  HttpClient client(port_), idle(port_);
  client.Send(
      "POST", "/v1/completions",
      Json{{"model", kDense}, {"prompt", "It is"}, {"max_tokens", 300}, {"stream", true}, {"ignore_eos", true}}.dump());
  ASSERT_TRUE(client.ReadHead().status == 200 && client.ReadUntil("data: "));
  const auto children = Children();
  server_->SignalCommand(SIGTERM);
  EXPECT_TRUE(client.ReadUntil("[DONE]")) << client.body();
  EXPECT_EQ(server_->Finish().status, 0);
  EXPECT_FALSE(HttpClient(port_).connected());
  for (const pid_t child : children) EXPECT_NE(kill(child, 0), 0) << "its process is gone";
  std::filesystem::remove(sockets + "/placeholder");
  EXPECT_TRUE(std::filesystem::is_empty(sockets));
}

TEST_F(Lifecycle, ASecondSignalDoesNotWait) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "1M"}));
  HttpClient client(port_);
  client.Send("POST", "/v1/completions", Endless(kDense));
  ASSERT_TRUE(client.ReadHead().status == 200 && client.ReadUntil("data: "));
  server_->SignalCommand(SIGINT);
  // The first was seen when no connection is taken any more.
  EXPECT_TRUE(Eventually([&] { return !HttpClient(port_).connected(); }));
  server_->SignalCommand(SIGINT);
  EXPECT_EQ(server_->Finish().status, 0);
  EXPECT_FALSE(client.ReadUntil("[DONE]"));
}

// It takes connections and answers nothing.
TEST_F(Lifecycle, AStoppedProcessIsKilledByForce) {
  for (const bool keeps : {false, true}) {
    std::vector<std::string> arguments = {"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "4M"};
    if (keeps) arguments.insert(arguments.end(), {"--prompt-cache-dir", tree_.Path("prompts")});
    ASSERT_TRUE(StartServer(arguments));
    ASSERT_EQ(Complete(kDense).status, 200);
    auto children = Children();
    ASSERT_EQ(children.size(), 1u);
    kill(children.front(), SIGSTOP);
    EXPECT_EQ(Post("/api/v1/models/unload", {{"model", kDense}, {"force", true}}).status, 200);
    EXPECT_TRUE(Children().empty());
    EXPECT_EQ(Model(kDense)["state"], "unloaded");
    // Nor does it hold up what makes room, or the end.
    ASSERT_EQ(Complete(kDense).status, 200);
    children = Children();
    kill(children.front(), SIGSTOP);
    EXPECT_EQ(Complete(kMoe, 1).status, 200);
    children = Children();
    ASSERT_EQ(children.size(), 1u);
    kill(children.front(), SIGSTOP);
    EXPECT_EQ(EndServer().status, 0);
    EXPECT_NE(kill(children.front(), 0), 0) << "its process is gone";
  }
}

TEST_F(Lifecycle, AStoppedProcessWithARequestDoesNotHoldUpTheEnd) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "1M"}));
  HttpClient client(port_);
  client.Send("POST", "/v1/completions", Endless(kDense));
  ASSERT_TRUE(client.ReadHead().status == 200 && client.ReadUntil("data: "));
  const auto children = Children();
  ASSERT_EQ(children.size(), 1u);
  kill(children.front(), SIGSTOP);
  const auto outcome = EndServer();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(Has(outcome.err, "is stopped by a signal")) << outcome.err;
  EXPECT_TRUE(client.ReadUntil("was unloaded")) << client.body();
}

TEST_F(Lifecycle, ARequestThatEndsTheEngineIsKnown) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "off"}));
  ASSERT_EQ(Complete(kDraft).status, 200);
  // llama-server 0.7.0 reads grammars by calls in calls, until its stack is used up.
  constexpr size_t kDeep = 100'000;
  const Json killer = {{"model", kDraft},
                       {"prompt", "It is"},
                       {"max_tokens", 2},
                       {"grammar", "root ::= " + std::string(kDeep, '(') + "\"a\"" + std::string(kDeep, ')')}};
  Answer answer;
  int ends = 0;
  const bool refused = Eventually([&] {
    answer = Post("/v1/completions", killer);
    ends += answer.status == 502;
    return answer.status == 400;
  });
  EXPECT_TRUE(refused) << answer.text;
  EXPECT_EQ(ends, 2) << "once is no proof";
  EXPECT_TRUE(Has(answer.Error(), "this very request ended the process")) << answer.text;
  EXPECT_TRUE(Eventually([&] { return Complete(kDraft).status == 200; })) << "others are answered";
  EXPECT_EQ(Post("/v1/completions", killer).status, 400);
  EXPECT_EQ(Complete(kDraft).status, 200);
  EXPECT_EQ(Model(kDraft)["loaded"]["restarts"], 2);
  // Nothing streamed, so streaming has nothing to do with it.
  const auto outcome = EndServer();
  EXPECT_TRUE(Has(outcome.err, "crashed (Segmentation fault)")) << outcome.err;
  EXPECT_FALSE(Has(outcome.err, "try --flash-mode off")) << outcome.err;
}

TEST_F(Lifecycle, WhatIsRememberedAndGoneIsLeftOut) {
  const std::string folder = tree_.Path("lib");
  tree_.File("lib/placeholder");
  for (const char* id : {kDense, kDraft})
    std::filesystem::copy_file(Models() + "/" + id + ".gguf", folder + "/" + id + ".gguf");
  ASSERT_TRUE(StartServer({"--models-dir", folder}));
  ASSERT_EQ(Load({{"model", kDense},
                  {"flash_mode", true},
                  {"flash_ram_gb", 0.012},
                  {"draft_model", kDraft},
                  {"context_length", 512}})
                .status,
            200);
  EndServer();
  // The other model is none of this server's.
  ASSERT_TRUE(StartServer({folder + "/" + kDense + ".gguf"}));
  EXPECT_TRUE(Eventually([&] { return Model(kDense)["state"] == "loaded"; }));
  const Json configuration = Model(kDense)["loaded"]["configuration"];
  EXPECT_TRUE(configuration["draft_model"].is_null()) << configuration.dump();
  EXPECT_EQ(configuration["context_length"], 512) << "the rest counts";
  const auto outcome = EndServer();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(Has(outcome.err, "without the draft_model that ")) << outcome.err;
  EXPECT_TRUE(
      Has(outcome.err, "/headrace/models.json remembers for it: there is no draft model " + std::string(kDraft)))
      << outcome.err;
  // Where it is there it counts again.
  ASSERT_TRUE(StartServer({"--models-dir", folder}));
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  EXPECT_EQ(Model(kDense)["loaded"]["configuration"]["draft_model"], kDraft);
  // One that is asked for now is an error as ever.
  EXPECT_EQ(Load({{"model", kDense}, {"draft_model", "none"}}).status, 404);
}

}  // namespace
}  // namespace headrace::serve
