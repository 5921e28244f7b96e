// Many clients at once: every request is answered, and nothing is left over.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "serve_test.h"

namespace headrace::serve {
namespace {

constexpr int kClients = 32;

class ManyClients : public ServeTest {
 protected:
  size_t Descriptors() const {
    const std::filesystem::directory_iterator entries("/proc/" + std::to_string(server_->pid()) + "/fd");
    return static_cast<size_t>(std::distance(begin(entries), end(entries)));
  }

  // Each kind of request in turn, until the time is over.
  void Client(int number, std::chrono::steady_clock::time_point end) {
    for (int i = number; std::chrono::steady_clock::now() < end && !HasFailure(); ++i) {
      const std::string prompt = "Client " + std::to_string(number) + " says";
      HttpClient client(port_);
      switch (i % 5) {
        case 0:
        case 1: {  // a whole stream
          client.Send(
              "POST", "/v1/completions",
              Json{{"model", kDense}, {"prompt", prompt}, {"max_tokens", 8}, {"stream", true}, {"ignore_eos", true}}
                  .dump());
          EXPECT_EQ(client.ReadHead().status, 200);
          EXPECT_TRUE(client.ReadUntil("[DONE]")) << client.body();
          break;
        }
        case 2: {  // two requests on one connection
          for (int k = 0; k < 2; ++k) {
            client.Send("POST", "/v1/completions",
                        Json{{"model", kDense}, {"prompt", prompt}, {"max_tokens", 4}, {"ignore_eos", true}}.dump());
            const HttpResponse answer = client.Read();
            EXPECT_EQ(answer.status, 200) << answer.body;
            EXPECT_EQ(Json::parse(answer.body)["usage"]["completion_tokens"], 4) << answer.body;
          }
          break;
        }
        case 3: {  // one that leaves
          client.Send("POST", "/v1/completions",
                      Json{{"model", kDense}, {"prompt", prompt}, {"max_tokens", 500}, {"stream", true}}.dump());
          EXPECT_EQ(client.ReadHead().status, 200);
          client.ReadPiece();
          break;
        }
        default:
          EXPECT_EQ(Get(i % 2 == 0 ? "/api/v1/models" : "/metrics").status, 200);
      }
      ++done_;
    }
  }

  void Serve(std::chrono::seconds time) {
    ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "4M"}));
    ASSERT_EQ(Complete(kDense, 1).status, 200);
    const size_t before = Descriptors();
    const auto children = Children();
    const auto end = std::chrono::steady_clock::now() + time;
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) clients.emplace_back([this, i, end] { Client(i, end); });
    for (std::thread& client : clients) client.join();
    EXPECT_GE(done_, kClients);
    EXPECT_TRUE(Eventually([&] { return Model(kDense)["loaded"]["requests"] == 0; }));
    EXPECT_EQ(Children(), children) << "the model's process lived through it";
    EXPECT_EQ(Model(kDense)["loaded"]["restarts"], 0);
    EXPECT_TRUE(Eventually([&] { return Descriptors() <= before; }))
        << Descriptors() << " descriptors, " << before << " before";
    EXPECT_EQ(EndServer().status, 0);
  }

  std::atomic<int> done_{0};
};

TEST_F(ManyClients, ForSomeSeconds) { Serve(std::chrono::seconds(6)); }

class SlowManyClients : public ManyClients {};
TEST_F(SlowManyClients, ForAMinute) { Serve(std::chrono::seconds(60)); }

}  // namespace
}  // namespace headrace::serve
