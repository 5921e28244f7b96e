#include "client/server_address.h"

#include <map>

#include <gtest/gtest.h>

namespace headrace::client {
namespace {

Result<ServerAddress> Resolve(const std::string& server, const std::map<std::string, std::string>& variables = {},
                              const std::string& key = "") {
  return ResolveServer(server, key, [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(ServerAddress, ShortFormsAreWholeUrls) {
  for (const auto& [given, url] : std::map<std::string, std::string>{{"", "http://127.0.0.1:8080"},
                                                                     {"8081", "http://127.0.0.1:8081"},
                                                                     {"box", "http://box:8080"},
                                                                     {"box/llm/", "http://box:8080/llm"},
                                                                     {"box:9/llm", "http://box:9/llm"},
                                                                     {"[::1]", "http://[::1]:8080"},
                                                                     {"[::1]:9", "http://[::1]:9"},
                                                                     {"https://box/llm", "https://box/llm"}}) {
    const auto address = Resolve(given);
    ASSERT_TRUE(address.ok()) << given;
    EXPECT_EQ(address->url, url);
  }
}

TEST(ServerAddress, OptionsGoBeforeVariables) {
  const std::map<std::string, std::string> variables{{"HEADRACE_SERVER", "box:9"}, {"HEADRACE_API_KEY", "one,two"}};
  EXPECT_EQ(Resolve("", variables)->url, "http://box:9");
  EXPECT_EQ(Resolve("", variables)->key, "one");
  EXPECT_EQ(Resolve("7", variables, "three")->url, "http://127.0.0.1:7");
  EXPECT_EQ(Resolve("7", variables, "three")->key, "three");
}

TEST(ServerAddress, WhatIsNoAddressIsAnError) {
  for (const char* given : {"ftp://box", "http://", "a b", "http://box/?x=1", "box:99999", "http://user@box"}) {
    const auto address = Resolve(given);
    EXPECT_FALSE(address.ok()) << given;
    EXPECT_EQ(address.status().code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace headrace::client
