#include "models/pull_source.h"

#include <gtest/gtest.h>

#include "models/http_request.h"

namespace headrace {
namespace {

using Names = std::vector<std::string>;

Names Chosen(const Names& there, const std::string& text, bool projector = true) {
  std::vector<HubFile> models;
  for (const std::string& name : there) models.push_back({name, 1, ""});
  const auto files = ChooseFiles(models, *ParsePullSource(text), projector);
  if (!files.ok()) return {files.status().message()};
  Names names;
  for (const HubFile& file : *files) names.push_back(file.path);
  return names;
}

TEST(PullSource, Texts) {
  EXPECT_EQ(ParsePullSource("hf:u/m-GGUF:Q8_0")->repository, "u/m-GGUF");
  EXPECT_EQ(ParsePullSource("hf:u/m-GGUF:Q8_0")->quantization, "Q8_0");
  const auto address = ParsePullSource("https://h.org/a/b-Q4_0.GGUF?download=true#x");
  EXPECT_EQ(address->file, "b-Q4_0.GGUF");
  EXPECT_EQ(address->url, "https://h.org/a/b-Q4_0.GGUF?download=true");
  for (const char* text : {"", "u/m", "hf:", "hf:u", "hf:u/m/x", "hf:../x", "hf:u/..", "hf:/u/m", "hf:u//m",
                           "ftp://h/a.gguf", "file:///a.gguf", "https://h.org/", "https://h.org/a.bin",
                           "https://h.org/.gguf", "https://me:pw@h.org/a.gguf", "https://h.org/a.gguf/"}) {
    EXPECT_FALSE(ParsePullSource(text).ok()) << text;
  }
}

TEST(PullSource, WhatARepositoryHas) {
  const std::vector<HubFile> files = {{"m-Q8_0.gguf", 80, ""},
                                      {"m-Q4_0-00001-of-00002.gguf", 30, ""},
                                      {"m-Q4_0-00002-of-00002.gguf", 20, ""},
                                      {"m-Q2_K-00001-of-00002.gguf", 9, ""},  // a part is missing
                                      {"plain.gguf", 1, ""},
                                      {"mmproj-F16.gguf", 5, ""}};
  const auto models = ModelsIn(files, "u/m-GGUF");
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].source, "hf:u/m-GGUF:Q4_0");
  EXPECT_EQ(models[0].files, 3u);
  EXPECT_EQ(models[0].bytes, 55u);
  EXPECT_EQ(models[1].quantization, "Q8_0");
  const auto nameless = ModelsIn({{"plain.gguf", 1, ""}}, "u/m");
  ASSERT_EQ(nameless.size(), 1u);
  EXPECT_EQ(nameless[0].source, "hf:u/m");
  EXPECT_TRUE(ModelsIn({{"mmproj-F16.gguf", 5, ""}}, "u/m").empty());
}

TEST(PullSource, PartsOfAnAddress) {
  const auto parts = PartsOf(*ParsePullSource("https://h.org/m-00002-of-00003.gguf?token=m-00002-of-00003.gguf"));
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].file, "m-00001-of-00003.gguf");
  EXPECT_EQ(parts[2].url, "https://h.org/m-00003-of-00003.gguf?token=m-00002-of-00003.gguf");
  EXPECT_EQ(PartsOf(*ParsePullSource("https://h.org/m.gguf")).size(), 1u);
}

TEST(PullSource, WhatOfARepositoryIsFetched) {
  const Names there = {"m-BF16-00001-of-00002.gguf",
                       "m-BF16-00002-of-00002.gguf",
                       "m-Q4_K_M.gguf",
                       "m-Q8_0.gguf",
                       "mmproj-BF16.gguf",
                       "mmproj-F16.gguf",
                       "other/mmproj-F16.gguf"};
  EXPECT_EQ(Chosen(there, "hf:u/m"), Names({"m-Q4_K_M.gguf", "mmproj-F16.gguf"}));
  EXPECT_EQ(Chosen(there, "hf:u/m:q8_0", false), Names({"m-Q8_0.gguf"}));
  EXPECT_EQ(Chosen(there, "hf:u/m:BF16", false), Names({"m-BF16-00001-of-00002.gguf", "m-BF16-00002-of-00002.gguf"}));
  EXPECT_EQ(Chosen({"b-Q2_K.gguf", "c-Q3_K.gguf"}, "hf:u/m"), Names({"b-Q2_K.gguf"})) << "the first";
  EXPECT_EQ(Chosen(there, "hf:u/m:Q5_0"), Names({"u/m has no model of the type Q5_0; there are BF16, Q4_K_M, Q8_0"}));
  EXPECT_EQ(Chosen({"m-00001-of-00002.gguf"}, "hf:u/m"),
            Names({"u/m lacks a part of this model: m-00002-of-00002.gguf"}));
  EXPECT_EQ(Chosen({"mmproj-F16.gguf"}, "hf:u/m")[0].substr(0, 16), "u/m has no model");
}

TEST(HubClient, PathsThatStayInTheirFolder) {
  for (const char* path : {"a.gguf", "a/b c.gguf", "a/\xc3\xa9.gguf", "a..b.gguf"})
    EXPECT_TRUE(IsSafePath(path)) << path;
  for (const char* path : {"", "/a", "../a", "a/../b", "a/..", ".", "a/./b", "a//b", "a/", ".hidden", "a\nb", "a\\b",
                           "a\x7f", "\xff", "\xc2\x85"})
    EXPECT_FALSE(IsSafePath(path)) << path;
  EXPECT_FALSE(IsSafePath(std::string("a\0b", 3)));
  EXPECT_FALSE(IsSafePath(std::string(300, 'a')));
}

TEST(HttpRequest, Origins) {
  EXPECT_EQ(OriginOf("https://HuggingFace.co/a/b?c"), "https://huggingface.co:443");
  EXPECT_EQ(OriginOf("http://127.0.0.1:8000"), "http://127.0.0.1:8000");
  EXPECT_NE(OriginOf("https://huggingface.co"), OriginOf("http://huggingface.co"));
  EXPECT_NE(OriginOf("https://huggingface.co"), OriginOf("https://huggingface.co.evil.org"));
  for (const char* url :
       {"", "huggingface.co/a", "file:///etc/passwd", "https://huggingface.co@evil.org/", "ftp://a/b"})
    EXPECT_EQ(OriginOf(url), "") << url;
}

}  // namespace
}  // namespace headrace
