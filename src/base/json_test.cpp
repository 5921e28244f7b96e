#include "base/json.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

std::string Problem(const std::string& text) {
  const auto json = ParseJson(text);
  return json.ok() ? "" : json.status().message();
}

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string Nested(int depth, const char* open, const char* close) {
  std::string text, end;
  for (int i = 0; i < depth; ++i) {
    text += open;
    end += close;
  }
  return text + "1" + end;
}

TEST(ParseJson, IsWhatNlohmannMakesOfIt) {
  for (const char* text :
       {"null", "true", " 7 ", "-7", "1.5e3", "\"\\u00e4\\ud83d\\ude00\"", "[]", "{}", "[1,[2,[3,{}]],\"x\"]",
        "18446744073709551615", R"({"a": {"b": [1, {"a": null}]}, "c": -0.5, "d": "\n", "": false})",
        "123456789012345678901234567890", "\xef\xbb\xbf[1]"}) {
    const auto json = ParseJson(text);
    ASSERT_TRUE(json.ok()) << text << ": " << json.status().message();
    EXPECT_EQ(*json, Json::parse(text)) << text;
  }
}

TEST(ParseJson, RefusesWhatIsNone) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "{\"a\"}",
                           "{} x",
                           "[1] [2]",
                           "nul",
                           "'a'",
                           "\"\xff\"",
                           "\"\xc3\"",
                           "{\"\xed\xa0\x80\": 1}",
                           "\"\\ud800\"",
                           "\"\\udc00\\ud800\"",
                           "\"\\u12\"",
                           "1e999",
                           "-1e999",
                           "[1e999]",
                           "NaN",
                           "\"a\nb\"",
                           "// 1"}) {
    EXPECT_TRUE(Has(Problem(text), "wrong at byte")) << text;
  }
  EXPECT_TRUE(Has(Problem(std::string("{\"a\": 1}\0{", 10)), "NUL"));
}

TEST(ParseJson, AKeyThatComesTwice) {
  EXPECT_TRUE(Has(Problem(R"({"a": 1, "a": 2})"), "\"a\" comes twice"));
  EXPECT_TRUE(Has(Problem(R"([{"x": {"b": {}, "c": 1, "b": 1}}])"), "\"b\" comes twice"));
  EXPECT_TRUE(Has(Problem(R"({"a": [1], "a": [2]})"), "twice"));
  EXPECT_TRUE(Has(Problem(R"({"\u0061": 1, "a": 2})"), "twice")) << "it is the same key";
}

TEST(ParseJson, TheOrderOfKeys) {
  EXPECT_EQ(ParseOrderedJson(R"({"b": {"z": 1, "a": [{"d": 1, "c": 2}]}, "a": 2})")->dump(),
            R"({"b":{"z":1,"a":[{"d":1,"c":2}]},"a":2})");
  EXPECT_FALSE(ParseOrderedJson(R"({"a": 1, "a": 2})").ok());
  EXPECT_FALSE(ParseOrderedJson(Nested(kDeepestJson + 1, "[", "]")).ok());
  std::string many = "{";
  for (int i = 0; i < 1'000'000; ++i) many += "\"" + std::to_string(i) + "\":0,";
  EXPECT_TRUE(Has(ParseOrderedJson(many + "\"\":0}").status().message(), "10000 keys"));
  EXPECT_EQ(Problem(many + "\"\":0}"), "");
}

TEST(ParseJson, DepthIsLimited) {
  EXPECT_EQ(Problem(Nested(kDeepestJson, "[", "]")), "");
  EXPECT_EQ(Problem(Nested(kDeepestJson, "{\"a\":", "}")), "");
  for (const int depth : {kDeepestJson + 1, 100'000, 1'000'000}) {
    for (const char* open : {"[", "{\"a\":", "[{\"a\":"})
      EXPECT_TRUE(Has(Problem(Nested(depth, open, "")), "deeper than 200")) << depth << open;
    EXPECT_FALSE(ParseJson(Nested(depth, "[", "]"), 1).ok()) << "also where it is left out";
  }
  // Only depth counts, not how many there are.
  std::string wide = "[";
  for (int i = 0; i < 10'000; ++i) wide += "[[]],";
  EXPECT_EQ(Problem(wide + "1]"), "");
}

TEST(ParseJson, KeepsTheLevelsThatAreWanted) {
  const char* text =
      R"({"model": "a", "messages": [{"model": "b"}, [[1]]], "x": {"model": "c", "y": 1, "y": 2}, "n": 3})";
  EXPECT_EQ(*ParseJson(text, 1), Json::parse(R"({"model": "a", "messages": [], "x": {}, "n": 3})"));
  EXPECT_EQ(*ParseJson("[[1], 2, {\"a\": 1}]", 1), Json::parse("[[], 2, {}]"));
  EXPECT_FALSE(ParseJson(R"({"x": {"a": [}})", 1).ok()) << "what is left out is read all the same";
  EXPECT_FALSE(ParseJson(R"({"a": 1, "a": 2})", 1).ok());
}

TEST(Members, OfAnyKind) {
  const Json object =
      Json::parse(R"({"text": "a", "count": 7, "below": -1, "number": 1.5, "yes": true, "list": [], "null": null})");
  for (const char* name : {"text", "count", "below", "number", "yes", "list", "null", "none"}) {
    EXPECT_EQ(TextOf(object, name), name == std::string("text") ? "a" : "");
    EXPECT_EQ(CountOf(object, name), name == std::string("count") ? 7u : 0u);
    EXPECT_EQ(IsTrue(object, name), name == std::string("yes"));
    EXPECT_EQ(FindMember(object, name) == nullptr, name == std::string("none"));
  }
  EXPECT_EQ(NumberOf(object, "number"), 1.5);
  EXPECT_EQ(NumberOf(object, "below"), -1);
  EXPECT_EQ(NumberOf(object, "text"), 0);
  for (const Json& none : {Json(), Json(7), Json("text"), Json::array({1})}) EXPECT_EQ(TextOf(none, "text"), "");
  EXPECT_EQ(JsonOrNull("{"), Json());
}

}  // namespace
}  // namespace headrace
