// Two servers behind the real HAProxy, with the configuration that examples/ shows.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <set>

#include "serve_test.h"

namespace headrace::serve {
namespace {

constexpr const char* kHaproxy = "/usr/sbin/haproxy";

class Balancer : public ServeTest {
 protected:
  void SetUp() override {
    if (access(kHaproxy, X_OK) != 0) GTEST_SKIP() << "needs HAProxy (apt-get install haproxy)";
    ServeTest::SetUp();
    for (Server& server : servers_) {
      const std::string log = tree_.Path("access-" + std::to_string(&server - servers_));
      ASSERT_TRUE(StartServer({"--models-dir", Models(), "--allow-host", "models.example.net", "--access-log", log}));
      server = {std::move(server_), port_, log};
    }
    ASSERT_NO_FATAL_FAILURE(StartHaproxy());
  }
  void TearDown() override {
    if (haproxy_ > 0) kill(haproxy_, SIGKILL);
    if (haproxy_ > 0) waitpid(haproxy_, nullptr, 0);
  }

  void StartHaproxy() {
    port_ = FreePort();
    std::ifstream example(std::string(HEADRACE_SOURCE_DIR) + "/examples/haproxy.cfg");
    std::string text{std::istreambuf_iterator<char>(example), {}};
    const std::pair<std::string, std::string> own[] = {
        {"bind 127.0.0.1:8000", "bind 127.0.0.1:" + std::to_string(port_)},
        {"stats socket /run/haproxy/admin.sock", "stats socket " + tree_.Path("admin.sock")},
        {"server one 10.0.0.2:8080", "server one 127.0.0.1:" + std::to_string(servers_[0].port)},
        {"server two 10.0.0.3:8080", "server two 127.0.0.1:" + std::to_string(servers_[1].port)}};
    for (const auto& [from, to] : own) {
      const size_t at = text.find(from);
      ASSERT_NE(at, std::string::npos) << from;
      text.replace(at, from.size(), to);
    }
    const std::string file = tree_.File("haproxy.cfg", text);
    haproxy_ = fork();
    ASSERT_GE(haproxy_, 0);
    if (haproxy_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      execl(kHaproxy, "haproxy", "-db", "-q", "-f", file.c_str(), nullptr);
      _exit(127);
    }
    ASSERT_TRUE(Eventually([&] { return Get("/health").status == 200; }));
  }

  static Json Conversation(const std::string& first, int turns, bool with_system = false) {
    Json messages = Json::array();
    if (with_system) messages.push_back({{"role", "system"}, {"content", "You write like Jane Austen."}});
    messages.push_back({{"role", "user"}, {"content", first}});
    for (int turn = 1; turn < turns; ++turn) {
      messages.push_back({{"role", "assistant"}, {"content", "It is a truth."}});
      messages.push_back({{"role", "user"}, {"content", "Go on."}});
    }
    return {{"model", kDense}, {"messages", messages}, {"max_tokens", 2}};
  }

  // Asks through the balancer; the index of the server whose access log has grown by it, -1 for none.
  int ServerOf(const Json& body, const std::string& path = "/v1/chat/completions") {
    const int before[] = {Lines(0, path), Lines(1, path)};
    const Answer answer = Post(path, body);
    EXPECT_EQ(answer.status, 200) << answer.text;
    int found = -1;
    EXPECT_TRUE(Eventually([&] {
      for (int i = 0; i < 2; ++i) {
        if (Lines(i, path) > before[i]) found = i;
      }
      return found >= 0;
    }));
    return found;
  }
  int Lines(int server, const std::string& path) const {
    std::ifstream log(servers_[server].log);
    int count = 0;
    for (std::string line; std::getline(log, line);) count += Has(line, path) ? 1 : 0;
    return count;
  }

  struct Server {
    std::unique_ptr<cli::RunningCommand> command;
    uint16_t port = 0;
    std::string log;
  };
  Server servers_[2];
  pid_t haproxy_ = -1;
};

TEST_F(Balancer, AConversationStaysWhereItBegan) {
  std::set<int> used;
  for (int i = 0; i < 8; ++i) {
    const bool with_system = i % 2 == 0;
    const std::string first = "Emma Woodhouse " + std::to_string(i) + std::string(i == 0 ? 30000 : 0, ' ');
    const int server = ServerOf(Conversation(first, 1, with_system));
    used.insert(server);
    EXPECT_EQ(ServerOf(Conversation(first, 2, with_system)), server) << i;
    EXPECT_EQ(ServerOf(Conversation(first, 3, with_system)), server) << i;
  }
  EXPECT_EQ(used.size(), 2u) << "both servers have conversations";
  std::string prompt(256, 'x');
  const Json prompt_body = {{"model", kDense}, {"prompt", prompt}, {"max_tokens", 1}};
  Json longer = prompt_body;
  longer["prompt"] = prompt + " and more";
  EXPECT_EQ(ServerOf(prompt_body, "/v1/completions"), ServerOf(longer, "/v1/completions"));
}

TEST_F(Balancer, AServerThatEndsIsDrained) {
  const std::string first = "It is a truth universally acknowledged";
  const int gone = ServerOf(Conversation(first, 1));
  ASSERT_GE(gone, 0);
  HttpClient client(port_);
  Json body = Conversation(first, 2);
  body["max_tokens"] = 300;
  body["stream"] = true;
  body["ignore_eos"] = true;
  // By its other name: ServerOf does not count it.
  client.Send("POST", "/chat/completions", body.dump());
  ASSERT_TRUE(client.ReadHead().status == 200 && client.ReadUntil("data: "));
  servers_[gone].command->SignalCommand(SIGTERM);
  ASSERT_TRUE(Eventually([&] { return !HttpClient(servers_[gone].port).connected(); })) << "it takes nobody new";
  // None of those who come meanwhile notices.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ServerOf(Conversation(first, 3)), 1 - gone);
  EXPECT_TRUE(client.ReadUntil("[DONE]")) << "the answer that it was giving is whole";
  EXPECT_EQ(servers_[gone].command->Finish().status, 0);
}

TEST_F(Balancer, AServerThatDiesIsLeft) {
  const std::string first = "Handsome, clever, and rich";
  const int gone = ServerOf(Conversation(first, 1));
  ASSERT_GE(gone, 0);
  servers_[gone].command->SignalCommand(SIGKILL);
  servers_[gone].command->Finish();
  EXPECT_EQ(ServerOf(Conversation(first, 2)), 1 - gone);
}

}  // namespace
}  // namespace headrace::serve
