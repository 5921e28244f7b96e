// Who may ask, over the wire.
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <tuple>

#include <fmt/format.h>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class Guard : public ServeTest {};

TEST_F(Guard, PagesOfOtherSitesMayNeitherLoadNorRead) {
  ASSERT_TRUE(StartServer());
  const std::string load = Json{{"model", kDense}}.dump();
  const std::string host = "127.0.0.1:" + std::to_string(port_);
  for (const HttpHeaders& headers :
       {HttpHeaders{{"Host", host}, {"Origin", "http://evil.example"}}, HttpHeaders{{"Host", host}, {"Origin", "null"}},
        HttpHeaders{{"Host", host}, {"Origin", "http://127.0.0.1:1"}}, HttpHeaders{{"Host", "evil.example"}},
        HttpHeaders{{"Host", host}, {"Sec-Fetch-Site", "cross-site"}},
        HttpHeaders{{"Host", host}, {"Sec-Fetch-Site", "same-site"}}}) {
    Answer answer = Ask("POST", "/api/v1/models/load", load, headers);
    EXPECT_EQ(answer.status, 403) << answer.text;
    EXPECT_EQ(Ask("POST", "/v1/chat/completions", load, headers).status, 403);
    EXPECT_EQ(Ask("GET", "/slots?model=austen-dense-q4_0", "", headers).status, 403);
    answer = Ask("OPTIONS", "/api/v1/models/load", "", headers);
    EXPECT_EQ(answer.status, 403);
    EXPECT_FALSE(answer.headers.contains("access-control-allow-origin"));
  }
  EXPECT_TRUE(Children().empty());
  // The page itself, a plain visit of it from a link elsewhere, and programs.
  EXPECT_EQ(Ask("POST", "/api/v1/models/load", load,
                {{"Host", host}, {"Origin", "http://" + host}, {"Sec-Fetch-Site", "same-origin"}})
                .status,
            200);
  EXPECT_EQ(
      Ask("GET", "/", "", {{"Host", host}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}}).status,
      200);
  const Answer answer = Ask("POST", "/v1/completions", Json{{"prompt", "It"}, {"max_tokens", 1}}.dump(),
                            {{"Host", host}, {"Origin", "http://" + host}});
  EXPECT_EQ(answer.status, 200);
  for (const auto& [name, value] : answer.headers) EXPECT_FALSE(name.starts_with("access-control-")) << name;
}

TEST_F(Guard, ApiKeys) {
  environment_["HEADRACE_API_KEY"] = "first";
  ASSERT_TRUE(StartServer());
  EXPECT_EQ(Get("/v1/models").status, 401);
  EXPECT_EQ(Ask("GET", "/v1/models", "", {{"Authorization", "Bearer wrong"}}).status, 401);
  EXPECT_EQ(Ask("GET", "/v1/models", "", {{"Authorization", "Bearer "}}).status, 401);
  EXPECT_EQ(Ask("GET", "/v1/models", "", {{"Authorization", "Bearer firstfirst"}}).status, 401);
  EXPECT_EQ(Ask("GET", "/v1/models", "", {{"Authorization", "Bearer first"}}).status, 200);
  EXPECT_EQ(Ask("GET", "/api/v1/models", "", {{"x-api-key", "first"}}).status, 200);
  EXPECT_EQ(Load({{"model", kDense}}).status, 401);
  EXPECT_TRUE(Children().empty());
  EXPECT_EQ(Get("/health").status, 200);
  EXPECT_EQ(Get("/").status, 200) << "the page holds no secrets";
}

TEST_F(Guard, OnlyReadingThePageNeedsNoKey) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--api-key", "S"}));
  const std::string body = Json{{"model", kDense}, {"prompt", "It"}, {"max_tokens", 1}}.dump();
  for (const char* path : {"/", "/index.html", "/health", "/v1/health"}) {
    for (const char* method : {"GET", "HEAD"}) EXPECT_EQ(Ask(method, path).status, 200) << method << path;
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"})
      EXPECT_EQ(Ask(method, path, body).status, 401) << method << path;
    EXPECT_EQ(Ask("POST", path, body, {{"Authorization", "Bearer S"}}).status, 405) << path;
  }
  for (const char* path :
       {"//v1/models", "/index.html/../v1/models", "/./v1/models", "/%2e/v1/models", "/v1%2fmodels",
        "/health/../v1/models", "/health/", "/props", "/%70rops", "/metrics", "/slots", "/V1/models", "/api/v1/models/",
        "/v1/models?x=/index.html", "/v1/completions", "http://127.0.0.1/v1/models",
        "http://127.0.0.1/v1/models?/index.html", "/v1/models#/index.html", "/index.html%23/../props"}) {
    for (const char* method : {"GET", "POST", "HEAD"})
      EXPECT_EQ(Ask(method, path, method == std::string("POST") ? body : "").status, 401) << method << path;
  }
  EXPECT_EQ(Get(std::string("/?model=") + kDense).status, 200);
  // Refused before the body is there, and none is kept for the page.
  HttpClient large(port_), reader(port_);
  large.Send("POST", "/", "", {{"Content-Length", "50000000"}});
  EXPECT_EQ(large.Read().status, 401);
  reader.Send("GET", "/", "", {{"Content-Length", "50000000"}});
  EXPECT_EQ(reader.Read().status, 413);
  EXPECT_TRUE(Children().empty());
}

TEST_F(Guard, KeysOfOptionsAndFiles) {
  environment_["HEADRACE_API_KEY"] = "unused";  // the options go before it
  const std::string file = tree_.File("keys", "of a file\n");
  std::filesystem::permissions(file, std::filesystem::perms(0600));
  ASSERT_TRUE(StartServer(
      {"--models-dir", Models(), "--api-key-file", file, "--debug", "--api-key", "one", "--api-key", "two", kDense}));
  const auto status = [&](const std::string& key) {
    return Ask("GET", "/api/v1/models", "", {{"X-Api-Key", key}}).status;
  };
  for (const char* key : {"one", "two", "of a file"}) EXPECT_EQ(status(key), 200) << key;
  EXPECT_EQ(status(kDense), 401) << "it is the model";
  EXPECT_EQ(status("unused"), 401);
  EXPECT_TRUE(Eventually([&] { return !Children().empty(); })) << "the model is loaded";
  std::ifstream variables("/proc/" + std::to_string(Children().front()) + "/environ");
  const std::string all{std::istreambuf_iterator<char>(variables), {}};
  EXPECT_TRUE(Has(all, "HEADRACE_")) << "it was read";
  EXPECT_FALSE(Has(all, "API_KEY"));
  const cli::Outcome end = EndServer();
  for (const char* key : {"of a file", "unused", "chmod"}) EXPECT_FALSE(Has(end.err, key)) << end.err;
  std::filesystem::permissions(file, std::filesystem::perms(0644));
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--api-key-file", file}));
  EXPECT_TRUE(Has(EndServer().err, "chmod 600"));
}

TEST_F(Guard, WrongUsage) {
  ExpectError({"serve", "--models-dir", tree_.Path("none")}, 2, "none");
  ExpectError({"serve", tree_.Path("none.gguf")}, 2, "none.gguf");
  ExpectError({"serve", tree_.File("bad.gguf", "text")}, 2, "bad.gguf");
  ExpectError({"serve", "--models-dir", Models(), "nothing"}, 2, "nothing");
  ExpectError({"serve", CommandTest::Model(), "--host", "0.0.0.0"}, 2, "--api-key");
  ExpectError({"serve", CommandTest::Model(), "--host", "nowhere.example", "--api-key", "x"}, 2, "--host");
  ExpectError({"serve", CommandTest::Model(), "--api-key", ""}, 2, "--api-key is empty");
  ExpectError({"serve", CommandTest::Model(), "--api-key-file", tree_.Path("none")}, 2, "--api-key-file");
  ExpectError({"serve", CommandTest::Model(), "--api-key-file", tree_.File("empty", "\n")}, 2, "there is no key in");
  ExpectError({"serve", CommandTest::Model(), "--ttl", "soon"}, 2, "--ttl");
  ExpectError({"serve", CommandTest::Model(), "--ram", "lots"}, 2, "'lots'");
  ExpectError({"serve", CommandTest::Model(), "--max-body", "0"}, 2, "--max-body");
  ExpectError({"serve", CommandTest::Model(), "--", "--port", "1"}, 2, "--port");
  ExpectError({"serve", CommandTest::Model(), "--engine", tree_.Path("none")}, 127, "headrace engine install");
  ASSERT_TRUE(StartServer());
  ExpectError({"serve", CommandTest::Model(), "--port", std::to_string(port_)}, 1, "is taken");
  EXPECT_EQ(Run({"serve", "--help"}).status, 0);
}

TEST_F(Guard, SlowClientsDelayNobody) {
  ASSERT_TRUE(StartServer());
  std::vector<std::unique_ptr<HttpClient>> slow;
  for (int i = 0; i < 40; ++i) {
    slow.push_back(std::make_unique<HttpClient>(port_));
    // Some stop within the header, some within the body.
    slow.back()->SendRaw(i % 2 == 0
                             ? "POST /v1/completions HTTP/1.1\r\nHo"
                             : "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
  }
  // One that does not read its answer.
  HttpClient deaf(port_);
  deaf.Send("GET", "/api/v1/flash/stats?interval_ms=100");
  EXPECT_EQ(Complete(kDense).status, 200);
  EXPECT_EQ(EndServer().status, 0) << "nor do they delay the end";
}

TEST_F(Guard, OriginsOfTheOwnersChoiceReadAnswers) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--allow-origin", "app://obsidian.md", "--api-key", "S"}));
  const HttpHeaders page = {{"Origin", "app://obsidian.md"}, {"Sec-Fetch-Site", "cross-site"}};
  const auto told = [](Answer answer) { return answer.headers["access-control-allow-origin"]; };
  HttpHeaders preflight = page;
  preflight["Access-Control-Request-Method"] = "POST";
  preflight["Access-Control-Request-Headers"] = "authorization,content-type";
  Answer answer = Ask("OPTIONS", "/v1/chat/completions", "", preflight);
  EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(told(answer), "app://obsidian.md");
  EXPECT_EQ(answer.headers["access-control-allow-headers"], "authorization,content-type");
  HttpHeaders with_key = page;
  with_key["Authorization"] = "Bearer S";
  EXPECT_EQ(told(Ask("GET", "/v1/models", "", with_key)), "app://obsidian.md");
  answer = Ask("GET", "/v1/models", "", page);
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(told(answer), "app://obsidian.md") << "a page is to read errors, too";
  answer =
      Ask("POST", "/v1/completions", Json{{"model", kDense}, {"prompt", "It"}, {"max_tokens", 1}}.dump(), with_key);
  EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(told(answer), "app://obsidian.md") << "what a model answers";
  EXPECT_EQ(answer.headers["vary"], "Origin");
  preflight["Origin"] = "https://evil.example";
  answer = Ask("OPTIONS", "/v1/chat/completions", "", preflight);
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(told(answer), "");
}

TEST_F(Guard, WrongNamesAreToldAtTheStart) {
  for (const auto& [option, value, part] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"--allow-origin", "example.com", "is no origin"},
           {"--allow-host", "https://box", "without scheme and port"},
           {"--prefix", "llm", "write for instance /llm"}}) {
    const cli::Outcome outcome = Run({"serve", "--models-dir", Models(), option, value});
    EXPECT_EQ(outcome.status, 2) << option;
    EXPECT_TRUE(Has(outcome.err, part)) << outcome.err;
  }
}

// The real proxy, with the configuration that examples/ shows.
TEST_F(Guard, BehindNginx) {
  if (access("/usr/sbin/nginx", X_OK) != 0) GTEST_SKIP() << "needs nginx (apt-get install nginx-light)";
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--allow-host", "example.com", "--prefix", "/llm"}));
  const uint16_t port = FreePort();
  std::ifstream example(std::string(HEADRACE_SOURCE_DIR) + "/examples/nginx.conf");
  std::string text{std::istreambuf_iterator<char>(example), {}};
  const auto replace = [&](const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  };
  replace("127.0.0.1:8081", "127.0.0.1:" + std::to_string(port));
  replace("127.0.0.1:8080", "127.0.0.1:" + std::to_string(port_));
  const std::string folder = tree_.Path("nginx");
  std::filesystem::create_directories(folder);
  std::string own = "daemon off; pid " + folder + "/pid; error_log stderr;\n" + text;
  if (geteuid() == 0) own = "user root;\n" + own;
  const std::string temporary = "http {\n  access_log off;\n";
  std::string paths;
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    paths += fmt::format("  {0}_temp_path {1}/{0};\n", kind, folder);
  own.replace(own.find("http {\n"), 7, temporary + paths);
  const std::string file = tree_.File("nginx/nginx.conf", own);
  const pid_t nginx = fork();
  ASSERT_GE(nginx, 0);
  if (nginx == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execl("/usr/sbin/nginx", "nginx", "-p", folder.c_str(), "-c", file.c_str(), nullptr);
    _exit(127);
  }
  EXPECT_TRUE(Eventually([&] { return HttpClient(port).connected(); }));
  const HttpHeaders page = {{"Host", "example.com"}, {"Origin", "https://example.com"}};
  const auto through = [&](const std::string& method, const std::string& target, const std::string& body = "") {
    HttpClient client(port);
    client.Send(method, target, body, page);
    return client.Read();
  };
  EXPECT_EQ(through("GET", "/llm/v1/models").status, 200);
  EXPECT_EQ(through("GET", "/llm/").status, 200);
  HttpResponse moved = through("GET", "/llm");
  EXPECT_EQ(moved.status, 308);
  EXPECT_TRUE(moved.headers["location"].ends_with("/llm/")) << moved.headers["location"];
  const HttpResponse answer =
      through("POST", "/llm/v1/completions",
              Json{{"model", kDense}, {"prompt", "It was"}, {"max_tokens", 4}, {"stream", true}}.dump());
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(Has(answer.body, "[DONE]")) << answer.body;
  HttpClient other(port);
  other.Send("GET", "/llm/v1/models", "", {{"Host", "evil.example"}});
  EXPECT_EQ(other.Read().status, 403);
  kill(nginx, SIGTERM);
  waitpid(nginx, nullptr, 0);
}

TEST_F(Guard, LocalhostIsBothAddresses) {
  const int fd = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (fd >= 0) close(fd);
    GTEST_SKIP() << "this machine has no IPv6";
  }
  close(fd);
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--host", "localhost"}));
  EXPECT_EQ(Get("/health").status, 200);
  const int six = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin6_port = htons(port_);
  ASSERT_EQ(connect(six, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << strerror(errno);
  const std::string request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  ASSERT_EQ(send(six, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string answer;
  char piece[1024];
  for (ssize_t count; (count = recv(six, piece, sizeof piece, 0)) > 0;)
    answer.append(piece, static_cast<size_t>(count));
  close(six);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
}

}  // namespace
}  // namespace headrace::serve
