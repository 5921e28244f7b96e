// Clients that close half of their connection, open many and leave them, or are slow.
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class Connections : public ServeTest {
 protected:
  static std::string Completion(int tokens, bool stream) {
    return Json{
        {"model", kDense}, {"prompt", "It is"}, {"max_tokens", tokens}, {"stream", stream}, {"ignore_eos", true}}
        .dump();
  }
  std::vector<std::string> Streaming() {
    return {"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "2M"};
  }
};

TEST_F(Connections, AHalfClosedClientGetsItsAnswer) {
  ASSERT_TRUE(StartServer(Streaming()));
  const auto ask = [&](const std::string& method, const std::string& target, const std::string& body = "") {
    HttpClient client(port_);
    client.Send(method, target, body);
    client.CloseSending();
    const HttpResponse answer = client.Read();
    EXPECT_TRUE(client.complete()) << target;
    return answer;
  };
  EXPECT_EQ(ask("POST", "/v1/completions", Completion(1, false)).status, 200) << "the model was loaded meanwhile";
  for (const char* target :
       {"/health", "/v1/models", "/api/v1/models", "/", "/props", "/metrics", "/api/v1/flash/stats?once=1"}) {
    EXPECT_EQ(ask("GET", target).status, 200) << target;
  }
  EXPECT_EQ(ask("GET", "/nothing").status, 404);
  // Longer than a look at the client takes.
  const HttpResponse whole = ask("POST", "/v1/completions", Completion(100, false));
  EXPECT_EQ(whole.status, 200);
  EXPECT_TRUE(Has(whole.body, "\"completion_tokens\":100")) << whole.body;
  EXPECT_TRUE(Has(ask("POST", "/v1/completions", Completion(100, true)).body, "[DONE]"));
}

TEST_F(Connections, AClientThatClosesAltogetherEndsItsWork) {
  ASSERT_TRUE(StartServer(Streaming()));
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  for (const bool pipelined : {false, true}) {
    const int before = Flash(kDense)["decode_tokens"].get<int>();
    HttpClient client(port_);
    client.Send("POST", "/v1/completions", Completion(1500, false));
    // What it sent ahead hides nothing.
    if (pipelined) client.Send("GET", "/health");
    client.CloseSending();
    ASSERT_TRUE(Eventually([&] { return Flash(kDense)["decode_tokens"].get<int>() > before + 3; }))
        << "half closed is not gone";
    EXPECT_EQ(Model(kDense)["loaded"]["requests"], 1);
    client.Close();
    EXPECT_TRUE(Eventually([&] { return Model(kDense)["loaded"]["requests"] == 0; }));
    EXPECT_LT(Flash(kDense)["decode_tokens"].get<int>(), before + 1400);
  }
}

TEST_F(Connections, ManyThatAreLeftLockNobodyOut) {
  ASSERT_TRUE(StartServer(Streaming()));
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  HttpClient stream(port_);
  stream.Send("POST", "/v1/completions", Completion(200, true));
  ASSERT_TRUE(stream.ReadHead().status == 200 && stream.ReadUntil("data: "));
  // More than one address may have.
  std::vector<std::unique_ptr<HttpClient>> left;
  const char* beginnings[] = {"", "GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
                              "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"};
  for (size_t i = 0; i < 700; ++i) {
    left.push_back(std::make_unique<HttpClient>(port_));
    ASSERT_TRUE(left.back()->connected());
    left.back()->SendRaw(beginnings[i % 3]);
  }
  // Each comes again as soon as it was closed.
  std::atomic<bool> over{false};
  std::atomic<int> again{0};
  std::thread stubborn([&] {
    while (!over) {
      for (size_t i = 0; i < left.size() && !over; ++i) {
        if (left[i]->connected() && !left[i]->HasNews()) continue;
        left[i] = std::make_unique<HttpClient>(port_);
        left[i]->SendRaw(beginnings[i % 3]);
        ++again;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Get("/health").status, 200);
  EXPECT_EQ(Complete(kDense, 1).status, 200);
  over = true;
  stubborn.join();
  EXPECT_GT(again, 100);
  EXPECT_TRUE(stream.ReadUntil("[DONE]")) << "who is answered keeps his place";
}

TEST_F(Connections, WhoReadsNothingGivesHisPlaceUp) {
  ASSERT_TRUE(StartServer());
  // Requests for more than the sockets hold, and not one byte of it is read.
  std::string many;
  for (int i = 0; i < 4000; ++i) many += "GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::vector<std::unique_ptr<HttpClient>> deaf;
  for (int i = 0; i < 520; ++i) {
    deaf.push_back(std::make_unique<HttpClient>(port_));
    deaf.back()->SendSome(many);
  }
  EXPECT_TRUE(Eventually([&] { return Get("/health").status == 200; }));
}

TEST_F(Connections, AChildKeepsTheLimitOfOpenFiles) {
  rlimit own{};
  getrlimit(RLIMIT_NOFILE, &own);
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  rlimit server{}, child{};
  ASSERT_EQ(prlimit(server_->pid(), RLIMIT_NOFILE, nullptr, &server), 0);
  ASSERT_EQ(prlimit(Children().front(), RLIMIT_NOFILE, nullptr, &child), 0);
  EXPECT_EQ(child.rlim_cur, own.rlim_cur);
  EXPECT_GE(server.rlim_cur, std::min<rlim_t>(own.rlim_max, 2304));
}

class SlowConnections : public Connections {};

TEST_F(SlowConnections, AHeaderThatIsNotFinishedIsAnsweredAfterSomeSeconds) {
  ASSERT_TRUE(StartServer());
  HttpClient client(port_);
  client.SendRaw("GET / HTTP/1.1\r\nHost: localhost\r\n");
  std::atomic<bool> over{false};
  std::thread drip([&] {
    while (!over && client.SendRaw("X: y\r\n")) std::this_thread::sleep_for(std::chrono::milliseconds(300));
  });
  EXPECT_EQ(client.Read().status, 408) << "however it is dripped";
  over = true;
  drip.join();
}

}  // namespace
}  // namespace headrace::serve
