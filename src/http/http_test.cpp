#include "http/http.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

TEST(Http, Targets) {
  Request request;
  request.target = "/a%20b/c?x=1&y=a+b%2f&z&x=2#part";
  ASSERT_TRUE(ParseTarget(request));
  EXPECT_EQ(request.path, "/a b/c");
  EXPECT_EQ(request.Query("x"), "2");
  EXPECT_EQ(request.Query("y"), "a b/");
  EXPECT_EQ(request.Query("z"), "");
  EXPECT_EQ(request.Query("none"), "");
  for (const char* bad : {"", "x", "/%", "/%4", "/%zz", "/%00", "/?a=%0", "ftp://x/", "http:/x", "*", "x:80"}) {
    Request wrong;
    wrong.target = bad;
    EXPECT_FALSE(ParseTarget(wrong)) << bad;
  }
}

TEST(Http, TargetsWithAHost) {
  for (const auto& [target, path] :
       {std::pair{"http://localhost:80/a/b?x=1#y", "/a/b?x=1"}, std::pair{"HTTP://localhost:80", "/"},
        std::pair{"https://localhost:80?x=1", "/?x=1"},
        std::pair{"/http://evil.example/a", "/http://evil.example/a"}}) {
    Request request;
    request.target = target;
    request.headers = {{"host", "localhost:80"}};
    ASSERT_TRUE(ParseTarget(request)) << target;
    EXPECT_EQ(request.target, path) << "what a model's process is asked";
    EXPECT_EQ(request.Header("Host"), "localhost:80");
  }
  Request other;
  other.target = "http://evil.example/a";
  other.headers = {{"Host", "localhost"}};
  ASSERT_TRUE(ParseTarget(other));
  EXPECT_EQ(other.Header("Host"), "evil.example");
  EXPECT_EQ(other.CountHeaders("HOST"), 1u);
}

TEST(Http, PrefixesOfProxies) {
  EXPECT_EQ(PathPrefix("/llm/").value(), "/llm");
  EXPECT_EQ(PathPrefix("/").value(), "");
  for (const char* wrong : {"llm", "/a b", "/a%20b", "//a", "/a/../b", "/a?b"})
    EXPECT_FALSE(PathPrefix(wrong).ok()) << wrong;
  const auto taken = [](const std::string& target) {
    Request request;
    request.target = target;
    EXPECT_TRUE(ParseTarget(request));
    const auto reply = TakePrefix(request, "/llm");
    if (reply) return fmt::format("{} {}", reply->status, reply->headers.back().second);
    return request.target + " " + request.path;
  };
  EXPECT_EQ(taken("/llm/v1/models?x=%20"), "/v1/models?x=%20 /v1/models");
  EXPECT_EQ(taken("http://host/llm/"), "/ /");
  EXPECT_EQ(taken("/v1/models"), "/v1/models /v1/models") << "the proxy took it away";
  EXPECT_EQ(taken("/llmx/y"), "/llmx/y /llmx/y");
  EXPECT_EQ(taken("/llm"), "308 /llm/");
  EXPECT_EQ(taken("/llm?model=a"), "308 /llm/?model=a");
  EXPECT_EQ(taken("/llm//evil.example"), "//evil.example //evil.example") << "a path, no redirect";
}

TEST(Http, ErrorsHaveTheShapeOfLlamaServers) {
  const Reply reply = ErrorReply(Status(Code::kNotFound, "no \xff such"));
  EXPECT_EQ(reply.status, 404);
  const Json body = Json::parse(reply.body);
  EXPECT_EQ(body["error"]["code"], 404);
  EXPECT_EQ(body["error"]["type"], "not_found_error");
  EXPECT_TRUE(ErrorReply(Status(Code::kCancelled, "")).headers.empty()) << "nobody knows when";
  const Reply later = ErrorReply(Status(Code::kCancelled, ""), std::chrono::seconds(7));
  EXPECT_EQ(later.status, 503);
  EXPECT_EQ(later.headers.front(), (std::pair<std::string, std::string>("Retry-After", "7")));
  EXPECT_EQ(ErrorReply(Status(Code::kOutOfBudget, "")).status, 400);
  EXPECT_EQ(ErrorReply(Status(Code::kInternal, "")).status, 500);
}

}  // namespace
}  // namespace headrace::serve
