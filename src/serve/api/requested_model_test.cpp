#include "serve/api/requested_model.h"

#include <gtest/gtest.h>

#include "http/http.h"

namespace headrace::serve {
namespace {

Result<std::string> ModelIn(const std::string& body, const std::string& target = "/x",
                            const std::string& type = "application/json") {
  Request request;
  request.target = target;
  EXPECT_TRUE(ParseTarget(request));
  request.headers = {{"content-type", type}};
  request.body = body;
  return RequestedModel(request);
}

TEST(RequestedModel, QueryThenBody) {
  EXPECT_EQ(*ModelIn(R"({"model": "a", "messages": [{"model": "b"}]})"), "a");
  EXPECT_EQ(*ModelIn(R"({"messages": [{"model": "b"}, [[1]]], "x": {"model": "c"}})"), "");
  EXPECT_EQ(*ModelIn(R"({"model": "a"})", "/x?model=q"), "q");
  EXPECT_EQ(*ModelIn(R"([{"id": 0, "scale": 0.5}])", "/x?model=q"), "q");
  EXPECT_EQ(*ModelIn(""), "");
  EXPECT_EQ(*ModelIn(" \n"), "");
  EXPECT_EQ(*ModelIn(R"({"model": null})"), "");
  EXPECT_EQ(*ModelIn("--boundary", "/x", "multipart/form-data; boundary=boundary"), "");
  EXPECT_EQ(*ModelIn("--boundary", "/x?model=q", "multipart/form-data; boundary=boundary"), "q");
  for (const char* bad : {"{", "[]", "7", R"({"model": 7})", R"({"model": {"model": "a"}})", R"({"model": "a"} x)",
                          R"({"model": "a", "model": "b"})"})
    EXPECT_FALSE(ModelIn(bad).ok()) << bad;
}

TEST(RequestedModel, NothingHidesABody) {
  const std::string deep = "{\"prompt\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  for (const char* target : {"/x", "/x?model=q"}) {
    for (const char* type : {"application/json", "", "multipart/form-data; boundary=b", "audio/wav", "image/png"}) {
      for (const std::string& before : {std::string(), std::string(" \n"), std::string("\xef\xbb\xbf")})
        EXPECT_FALSE(ModelIn(before + deep, target, type).ok()) << type;
    }
  }
  EXPECT_FALSE(ModelIn("--1", "/x").ok()) << "no form";
}

}  // namespace
}  // namespace headrace::serve
