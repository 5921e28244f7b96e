#include "http/guard.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

Request Make(std::vector<std::pair<std::string, std::string>> headers, const std::string& path = "/v1/models") {
  Request request;
  request.method = "GET";
  request.target = path;
  request.headers = std::move(headers);
  EXPECT_TRUE(ParseTarget(request));
  return request;
}

int StatusOf(const GuardRules& rules, const Request& request, bool is_page = false) {
  const auto reply = CheckRequest(rules, request, is_page);
  return reply ? reply->status : 200;
}

TEST(Guard, LoopbackNames) {
  for (const char* name : {"localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1", "a.localhost"})
    EXPECT_TRUE(IsLoopbackName(name)) << name;
  for (const char* name :
       {"", "localhost.evil.com", "127.0.0.1.evil.com", "128.0.0.1", "evil", ".localhost", "notlocalhost"}) {
    EXPECT_FALSE(IsLoopbackName(name)) << name;
  }
}

TEST(Guard, HostMustBeLoopbackWhereOnlyLoopbackIsServed) {
  const GuardRules here, anywhere{false, {}};
  for (const char* host : {"127.0.0.1:8080", "localhost", "[::1]:8080", "Localhost:1"})
    EXPECT_EQ(StatusOf(here, Make({{"Host", host}})), 200) << host;
  for (const char* host : {"evil.com", "evil.com:8080", "[::2]:8080", "[", ":"}) {
    EXPECT_EQ(StatusOf(here, Make({{"Host", host}})), 403) << host;
    EXPECT_EQ(StatusOf(anywhere, Make({{"Host", host}})), 200) << host;
  }
  EXPECT_EQ(StatusOf(here, Make({})), 200) << "HTTP/1.0";
}

TEST(Guard, OriginMustBeTheHostItself) {
  const GuardRules rules;
  EXPECT_EQ(StatusOf(rules, Make({{"Host", "localhost:8080"}, {"Origin", "http://localhost:8080"}})), 200);
  for (const char* origin : {"null", "http://localhost", "http://localhost:8081", "http://127.0.0.1:8080",
                             "http://localhost:8080.evil.com"}) {
    EXPECT_EQ(StatusOf(rules, Make({{"Host", "localhost:8080"}, {"Origin", origin}})), 403) << origin;
    EXPECT_EQ(StatusOf(rules, Make({{"Host", "localhost:8080"}, {"Origin", origin}}, "/"), true), 403) << origin;
  }
}

TEST(Guard, OtherSitesMayOnlyVisitThePage) {
  const GuardRules rules;
  for (const char* site : {"cross-site", "same-site"}) {
    EXPECT_EQ(StatusOf(rules, Make({{"Sec-Fetch-Site", site}})), 403);
    EXPECT_EQ(StatusOf(rules, Make({{"Sec-Fetch-Site", site}, {"Sec-Fetch-Mode", "navigate"}})), 403);
    EXPECT_EQ(StatusOf(rules, Make({{"Sec-Fetch-Site", site}, {"Sec-Fetch-Mode", "navigate"}}, "/"), true), 200);
    EXPECT_EQ(StatusOf(rules, Make({{"Sec-Fetch-Site", site}, {"Sec-Fetch-Mode", "no-cors"}}, "/"), true), 403);
  }
  EXPECT_EQ(StatusOf(rules, Make({{"Sec-Fetch-Site", "same-origin"}})), 200);
}

TEST(Guard, Keys) {
  const GuardRules rules{false, {"one", "two"}};
  for (const char* value : {"Bearer one", "bearer two"})
    EXPECT_EQ(StatusOf(rules, Make({{"authorization", value}})), 200) << value;
  EXPECT_EQ(StatusOf(rules, Make({{"X-API-KEY", "two"}})), 200);
  for (const char* value : {"Bearer ", "Bearer three", "Bearer onetwo", "Bearer o", "one", "Basic one", ""}) {
    EXPECT_EQ(StatusOf(rules, Make({{"Authorization", value}})), 401) << value;
  }
  EXPECT_EQ(StatusOf(rules, Make({})), 401);
  EXPECT_EQ(StatusOf(rules, Make({}, "/health")), 200);
  EXPECT_EQ(StatusOf(rules, Make({}, "/"), true), 200);
  for (const char* method : {"HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get"}) {
    for (const char* path : {"/", "/health", "/v1/health"}) {
      Request request = Make({}, path);
      request.method = method;
      EXPECT_EQ(StatusOf(rules, request, path == std::string("/")), method == std::string("HEAD") ? 200 : 401)
          << method << path;
    }
  }
}

TEST(Guard, HostsAndOriginsOfTheOwnersChoice) {
  GuardRules rules;
  rules.hosts = {"box.example.net"};
  rules.origins = {"app://obsidian.md"};
  rules.keys = {"secret"};
  const auto with_key = [](std::vector<std::pair<std::string, std::string>> headers) {
    headers.emplace_back("X-Api-Key", "secret");
    return Make(std::move(headers));
  };
  for (const char* host : {"box.example.net", "BOX.example.net:8443"}) {
    EXPECT_EQ(StatusOf(rules, with_key({{"Host", host}})), 200) << host;
  }
  EXPECT_EQ(StatusOf(rules, with_key({{"Host", "other.example.net"}})), 403);
  // The proxy keeps the Host, replaces it, or leaves the port out.
  for (const char* host : {"box.example.net", "localhost:8080"}) {
    for (const char* origin : {"https://box.example.net", "https://box.example.net:8443"})
      EXPECT_EQ(StatusOf(rules, with_key({{"Host", host}, {"Origin", origin}})), 200) << host << origin;
    for (const char* origin : {"https://box.example.net.evil", "https://evil/box.example.net", "ftp://box.example.net"})
      EXPECT_EQ(StatusOf(rules, with_key({{"Host", host}, {"Origin", origin}})), 403) << host << origin;
  }
  const std::pair<std::string, std::string> origin("Origin", "app://obsidian.md"),
      cross("Sec-Fetch-Site", "cross-site");
  EXPECT_EQ(StatusOf(rules, with_key({origin, cross})), 200);
  EXPECT_EQ(StatusOf(rules, with_key({{"Origin", "app://other.md"}, cross})), 403);
  EXPECT_EQ(StatusOf(rules, Make({origin, cross})), 401) << "a page needs the key, too";
  Request preflight = Make({origin, cross, {"Access-Control-Request-Method", "POST"}});
  preflight.method = "OPTIONS";
  EXPECT_EQ(StatusOf(rules, preflight), 200) << "it cannot carry the key";
  preflight.headers[0].second = "app://other.md";
  EXPECT_EQ(StatusOf(rules, preflight), 403);
}

TEST(Guard, HostNames) {
  for (const char* right : {"box", "box.example.net", "192.168.1.2"}) EXPECT_TRUE(CheckHostName(right).ok()) << right;
  for (const char* wrong : {"", "https://box", "box:8080", "box/llm", "a b", "me@box"})
    EXPECT_FALSE(CheckHostName(wrong).ok()) << wrong;
}

}  // namespace
}  // namespace headrace::serve
