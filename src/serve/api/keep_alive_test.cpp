#include "serve/api/keep_alive.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

TEST(ParseKeepAlive, WhatClientsWrite) {
  using Kind = KeepAlive::Kind;
  const auto time = [](int seconds) { return KeepAlive{Kind::kTime, std::chrono::seconds(seconds)}; };
  const std::pair<Json, KeepAlive> cases[] = {{Json(), {Kind::kAsServed}},
                                              {0, {Kind::kAtOnce}},
                                              {"0", {Kind::kAtOnce}},
                                              {"0s", {Kind::kAtOnce}},
                                              {-1, {Kind::kForEver}},
                                              {"-1", {Kind::kForEver}},
                                              {"-5m", {Kind::kForEver}},
                                              {1e300, {Kind::kForEver}},
                                              {300, time(300)},
                                              {"5m", time(300)},
                                              {"1h30m", time(5400)},
                                              {"1.5m", time(90)},
                                              {"10", time(10)},
                                              {"200ms", time(1)}};
  for (const auto& [text, expected] : cases) {
    const auto parsed = ParseKeepAlive(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, expected) << text;
  }
  for (const Json& text : {Json("x"), Json(""), Json("-"), Json("5 m"), Json("5d"), Json("m"), Json(true),
                           Json::array(), Json("nan"), Json("inf"), Json("--1")}) {
    EXPECT_FALSE(ParseKeepAlive(text).ok()) << text;
  }
}

}  // namespace
}  // namespace headrace::serve
