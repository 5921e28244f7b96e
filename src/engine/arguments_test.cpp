#include "engine/arguments.h"

#include <gtest/gtest.h>

#include <set>

namespace headrace::cli {
namespace {

using Words = std::vector<std::string>;

TEST(OptionTable, EachSpellingIsOfOneOption) {
  std::set<std::string> seen;
  for (int i = 0; i <= static_cast<int>(OptionId::kLogTimes); ++i) {
    const auto option = static_cast<OptionId>(i);
    ASSERT_FALSE(SpellingsOf(option).empty());
    for (const char* name : SpellingsOf(option)) {
      EXPECT_TRUE(seen.insert(name).second) << name << " is there twice";
      EXPECT_EQ(FindOption(name), option) << name << ": the rows are in another order than the options";
      EXPECT_TRUE(LooksLikeOption(name)) << name;
    }
  }
}

TEST(OptionTable, WordsAreTakenAsTheEngineTakesThem) {
  EXPECT_EQ(FindOption("--ctx_size"), OptionId::kContext);
  EXPECT_EQ(FindOption("-no-kvu"), OptionId::kOwnCaches);
  for (const char* word : {"--ctx-size=1", "-ctx-size", "--c", "-C", "-no_kvu", "--no-such", "ctx-size", "-", "--", ""})
    EXPECT_EQ(FindOption(word), std::nullopt) << word;
  for (const char* word : {"-1", "-0.5", "-.5", "-", "", "m.gguf"}) EXPECT_FALSE(LooksLikeOption(word)) << word;
}

TEST(EngineArguments, TheLastOneCounts) {
  EXPECT_EQ(EngineArguments({"-c", "1", "--ctx-size", "2"}).Value(OptionId::kContext), "2");
  EXPECT_EQ(EngineArguments({"--ctx_size", "2", "-c"}).Value(OptionId::kContext), "2");
  EXPECT_EQ(EngineArguments({"-c"}).Value(OptionId::kContext), std::nullopt);
  EXPECT_TRUE(EngineArguments({"-c"}).Has(OptionId::kContext));
  EXPECT_EQ(EngineArguments().Value(OptionId::kContext), std::nullopt);
  EXPECT_EQ(EngineArguments({"--ctx-size=2"}).Value(OptionId::kContext), std::nullopt) << "the engine refuses it";
}

TEST(EngineArguments, ANumberThatIsNoneIsZero) {
  EXPECT_EQ(EngineArguments({"-c", "1", "--ctx-size", "2"}).Number(OptionId::kContext), 2u);
  for (const Words& words : {Words{"-c", "many"}, {"-c", "-1"}, {"-c"}, {}})
    EXPECT_EQ(EngineArguments(words).Number(OptionId::kContext), 0u);
}

TEST(EngineArguments, AValueIsNoOptionWhateverItLooksLike) {
  const EngineArguments arguments = {"-p", "-c", "5", "-m", "--no-mmap", "--temp", "-1"};
  EXPECT_FALSE(arguments.Has(OptionId::kContext));
  EXPECT_FALSE(arguments.Has(OptionId::kNoMmap));
  EXPECT_EQ(arguments.Value(OptionId::kPrompt), "-c");
  EXPECT_EQ(arguments.Value(OptionId::kModel), "--no-mmap");
  EXPECT_EQ(arguments.Value(OptionId::kTemperature), "-1");
  EXPECT_EQ(arguments.options().size(), 3u);
}

TEST(EngineArguments, AValueThatOlderReleasesDoNotTake) {
  EXPECT_EQ(EngineArguments({"-fa", "on", "-c", "5"}).Value(OptionId::kFlashAttention), "on");
  const EngineArguments older = {"-fa", "-c", "5"};
  EXPECT_TRUE(older.Has(OptionId::kFlashAttention));
  EXPECT_EQ(older.Value(OptionId::kFlashAttention), std::nullopt);
  EXPECT_EQ(older.Number(OptionId::kContext), 5u);
}

TEST(EngineArguments, OptionsThatHeadraceDoesNotKnow) {
  const EngineArguments arguments = {"--top-k", "1", "--no-such", "-c", "5", "word"};
  EXPECT_TRUE(arguments.Says("--top-k"));
  EXPECT_TRUE(arguments.Says("--ctx-size")) << "in another spelling";
  EXPECT_FALSE(arguments.Says("1"));
  EXPECT_FALSE(arguments.Says("word"));
  EXPECT_FALSE(arguments.Says("--top-p"));
  EXPECT_EQ(arguments.Number(OptionId::kContext), 5u);
  EXPECT_EQ(arguments.words(), (Words{"--top-k", "1", "--no-such", "-c", "5", "word"})) << "as they were given";
}

TEST(EngineArguments, WhetherSlotsShareACache) {
  EXPECT_EQ(EngineArguments({"-c", "1"}).SharesCache(), std::nullopt);
  EXPECT_EQ(EngineArguments({"-kvu"}).SharesCache(), true);
  EXPECT_EQ(EngineArguments({"--kv-unified", "--no-kv-unified"}).SharesCache(), false);
  EXPECT_EQ(EngineArguments({"-no-kvu", "-kvu"}).SharesCache(), true);
}

TEST(EngineArguments, WhatSpeculates) {
  for (const Words& words : {Words{"--spec-type", "none"}, {"-md", "d"}, {"--hf-repo-draft", "r"}, {"--spec_new"}})
    EXPECT_TRUE(EngineArguments(words).Speculates()) << words[0];
  EXPECT_FALSE(EngineArguments({"-p", "--spec-type", "-c", "1"}).Speculates());
}

TEST(EngineArguments, TheFirstOfSome) {
  const OptionIds some = {OptionId::kHost, OptionId::kAlias};
  EXPECT_EQ(EngineArguments({"-c", "1", "-a", "x", "--host", "y"}).FirstOf(some), "-a");
  EXPECT_EQ(EngineArguments({"--host=y"}).FirstOf(some), "--host");
  EXPECT_EQ(EngineArguments({"-p", "--host"}).FirstOf(some), "");
}

TEST(EngineArguments, MoreAndLess) {
  EngineArguments arguments = {"-np", "2", "-c", "1"};
  arguments.Append(OptionId::kSlots, "3");
  arguments.Append({"--swa-full"});
  EXPECT_EQ(arguments.Number(OptionId::kSlots), 3u);
  EXPECT_TRUE(arguments.Has(OptionId::kFullWindow));
  EXPECT_EQ(arguments.Without(OptionId::kSlots).words(), (Words{"-c", "1", "--swa-full"}));
  EXPECT_EQ(Joined({"-c"}, {"7"}).Number(OptionId::kContext), 7u) << "as the program reads it";
  EXPECT_EQ(EngineArguments(std::vector{WithValue(OptionId::kLayers, "0")}).words(), (Words{"-ngl", "0"}));
}

}  // namespace
}  // namespace headrace::cli
