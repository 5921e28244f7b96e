#include "http/cross_origin.h"

#include <gtest/gtest.h>

#include <map>

namespace headrace::serve {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

Request Asked(const std::string& method, Headers headers) {
  Request request;
  request.method = method;
  request.headers = std::move(headers);
  return request;
}

std::string ValueIn(const Headers& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(CrossOrigin, OriginsAsBrowsersSendThem) {
  for (const char* right : {"https://example.com", "http://localhost:3000", "app://obsidian.md", "null", "*"})
    EXPECT_TRUE(CheckOrigin(right).ok()) << right;
  for (const char* wrong : {"", "example.com", "https://", "://x", "https://a b", "https://a\n", "https://a/"})
    EXPECT_FALSE(CheckOrigin(wrong).ok()) << wrong;
  EXPECT_NE(CheckOrigin("https://a.b/page").message().find("write https://a.b"), std::string::npos);
}

TEST(CrossOrigin, OnlyAllowedOnesAreTold) {
  const std::vector<std::string> allowed = {"app://obsidian.md", "https://Example.com"};
  const auto of = [&](const std::string& origin) {
    return CrossOriginHeaders(allowed, Asked("GET", {{"Origin", origin}}));
  };
  EXPECT_EQ(ValueIn(of("app://obsidian.md"), "Access-Control-Allow-Origin"), "app://obsidian.md");
  EXPECT_EQ(ValueIn(of("https://example.com"), "Access-Control-Allow-Origin"), "https://example.com");
  for (const char* other : {"https://evil.example", "https://example.com.evil", "https://example.com:8443", "null", ""})
    EXPECT_EQ(of(other), (Headers{{"Vary", "Origin"}})) << other;
  EXPECT_TRUE(CrossOriginHeaders({}, Asked("GET", {{"Origin", "https://a.b"}})).empty());
  EXPECT_EQ(ValueIn(CrossOriginHeaders({"*"}, Asked("GET", {{"Origin", "null"}})), "Access-Control-Allow-Origin"),
            "null");
}

TEST(CrossOrigin, Preflights) {
  const Request request = Asked("OPTIONS", {{"Origin", "https://a.b"},
                                            {"Access-Control-Request-Method", "POST"},
                                            {"Access-Control-Request-Headers", "authorization,x-stainless-os"},
                                            {"Access-Control-Request-Private-Network", "true"}});
  EXPECT_TRUE(IsPreflight(request));
  const Reply reply = PreflightReply(request);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(ValueIn(reply.headers, "Access-Control-Allow-Headers"), "authorization,x-stainless-os");
  EXPECT_NE(ValueIn(reply.headers, "Access-Control-Allow-Methods").find("POST"), std::string::npos);
  EXPECT_EQ(ValueIn(reply.headers, "Access-Control-Allow-Private-Network"), "true");
  EXPECT_FALSE(IsPreflight(Asked("OPTIONS", {})));
  EXPECT_FALSE(IsPreflight(Asked("OPTIONS", {{"Origin", "https://a.b"}})));
  EXPECT_FALSE(IsPreflight(Asked("POST", {{"Origin", "https://a.b"}, {"Access-Control-Request-Method", "POST"}})));
}

}  // namespace
}  // namespace headrace::serve
