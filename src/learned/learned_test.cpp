#include "learned/learned.h"

#include <gtest/gtest.h>

#include "plan/speculation.h"

namespace headrace::cli {
namespace {

constexpr int64_t kNow = 1'800'000'000;

// Passes of `tokens` tokens in `ms` each, and drafts of which `accepted` of `drafted` tokens were right.
SpeculationRun RunOf(uint64_t tokens, uint64_t passes, uint64_t ms, uint64_t length = 0, uint64_t drafted = 0,
                     uint64_t accepted = 0) {
  SpeculationRun run;
  run.statistics.widths[WidthIndex(tokens)] = {passes, passes * tokens, passes * ms * 1'000'000};
  run.draft_tokens = length;
  run.drafted = drafted;
  run.accepted = accepted;
  return run;
}

TEST(Learned, MeansOfRunsAreKnownInTheNextOne) {
  LearnedFile file;
  AddRun(file, "m", "d", RunOf(1, 10, 100), kNow);
  AddRun(file, "m", "d", RunOf(1, 30, 200), kNow);
  AddRun(file, "m", "d", RunOf(4, 2, 300), kNow);
  AddRun(file, "m", "d", RunOf(8, 1, 999), kNow);
  const Learned learned = Look(ParseLearned(RenderLearned(file)), "m", "d", kNow);
  ASSERT_EQ(learned.passes.size(), 2u) << "one pass of eight tokens shows nothing";
  EXPECT_DOUBLE_EQ(learned.passes[0].tokens, 1);
  EXPECT_NEAR(learned.passes[0].seconds, 0.175, 1e-9);
  EXPECT_DOUBLE_EQ(learned.passes[1].tokens, 4);
  EXPECT_FALSE(learned.acceptance_known);
  EXPECT_TRUE(Look(file, "other", "d", kNow).passes.empty());
}

TEST(Learned, ManyOldPassesCountNoMoreThanKMostPasses) {
  LearnedFile file;
  AddRun(file, "m", "d", RunOf(1, 100'000, 100), kNow);
  AddRun(file, "m", "d", RunOf(1, static_cast<uint64_t>(kMostPasses), 200), kNow);
  EXPECT_NEAR(Look(file, "m", "d", kNow).passes.at(0).seconds, 0.15, 1e-9);
}

TEST(Learned, AcceptanceIsThatOfATokenAndFades) {
  LearnedFile file;
  // All drafts of four tokens, each token right with 0.8.
  const double mean = ExpectedTokens(0.8, 4) - 1;
  AddRun(file, "m", "d", RunOf(1, 2, 1, 4, 40'000, static_cast<uint64_t>(10'000 * mean)), kNow);
  EXPECT_NEAR(Look(file, "m", "d", kNow).acceptance, 0.8, 1e-3);
  // 250 drafts of which nothing is right: kMostJudged of the old tokens still count.
  AddRun(file, "m", "d", RunOf(1, 2, 1, 4, 1000, 0), kNow);
  const Learned learned = Look(file, "m", "d", kNow);
  EXPECT_TRUE(learned.acceptance_known);
  EXPECT_NEAR(learned.acceptance, 0.8 * kMostJudged / (kMostJudged + 250), 1e-3);
  EXPECT_FALSE(Look(file, "m", "ngram", kNow).acceptance_known) << "of another draft";
}

TEST(Learned, TheLastRunSaysHowManyRequestsThereAreAtATime) {
  LearnedFile file;
  SpeculationRun run = RunOf(1, 2, 1);
  AddRun(file, "m", "d", run, kNow);
  EXPECT_EQ(Look(file, "m", "d", kNow).sequences, 0u);
  run.sequences = 7.6;
  AddRun(file, "m", "d", run, kNow);
  EXPECT_EQ(Look(ParseLearned(RenderLearned(file)), "m", "d", kNow).sequences, 8u);
  run.sequences = 1;
  AddRun(file, "m", "d", run, kNow);
  EXPECT_EQ(Look(file, "m", "d", kNow).sequences, 4u);
}

TEST(Learned, DraftTokensTakeWhatTheLibraryMeasured) {
  LearnedFile file;
  SpeculationRun run = RunOf(1, 2, 1);
  run.statistics.draft_passes = 10;
  run.statistics.draft_ns = 50'000'000;
  AddRun(file, "m", "d", run, kNow);
  EXPECT_NEAR(Look(file, "m", "d", kNow).draft_token_s, 0.005, 1e-12);
}

TEST(Learned, OfADisturbedRunOnlyAcceptanceCounts) {
  LearnedFile file;
  AddRun(file, "m", "d", RunOf(1, 10, 100), kNow);
  SpeculationRun run = RunOf(1, 10, 500, 4, 400, 200);  // 5 s
  run.statistics.draft_passes = 10;
  run.statistics.draft_ns = 1'000'000'000;
  run.statistics.disturbed_ns = static_cast<uint64_t>(6e9 * kMostDisturbed) + 1;
  AddRun(file, "m", "d", run, kNow);
  const Learned learned = Look(file, "m", "d", kNow);
  ASSERT_EQ(learned.passes.size(), 1u);
  EXPECT_NEAR(learned.passes[0].seconds, 0.1, 1e-9);
  EXPECT_EQ(learned.draft_token_s, 0);
  EXPECT_TRUE(learned.acceptance_known);
  AddRun(file, "other", "d", run, kNow);
  EXPECT_EQ(file.passes.count("other"), 0u);
  --run.statistics.disturbed_ns;
  AddRun(file, "m", "d", run, kNow);
  EXPECT_NEAR(Look(file, "m", "d", kNow).passes.at(0).seconds, 0.3, 1e-9);
  EXPECT_NEAR(Look(file, "m", "d", kNow).draft_token_s, 0.1, 1e-9);
}

TEST(Learned, AWidthThatNobodyMeasuresAnyMoreIsForgotten) {
  LearnedFile file;
  AddRun(file, "m", "d", RunOf(4, 10, 900), kNow);
  const int64_t later = kNow + kLearnedLifetimeSeconds + 1;
  AddRun(file, "m", "d", RunOf(1, 10, 100), later - 1);
  EXPECT_EQ(Look(file, "m", "d", later - 1).passes.size(), 2u);
  EXPECT_EQ(Look(file, "m", "d", later).passes.size(), 1u);
  AddRun(file, "m", "d", RunOf(1, 10, 100), later);
  EXPECT_EQ(file.passes["m"].widths.size(), 1u);
}

TEST(Learned, WhatIsOldIsForgotten) {
  LearnedFile file;
  AddRun(file, "m", "d", RunOf(1, 2, 100, 4, 100, 50), kNow);
  const int64_t later = kNow + kLearnedLifetimeSeconds + 1;
  EXPECT_TRUE(Look(file, "m", "d", later - 1).acceptance_known);
  EXPECT_FALSE(Look(file, "m", "d", later).acceptance_known);
  EXPECT_TRUE(Look(file, "m", "d", later).passes.empty());
  EXPECT_TRUE(Look(file, "m", "d", kNow - 1).passes.empty()) << "from the future: the clock was wrong";
  AddRun(file, "n", "e", RunOf(1, 2, 100, 4, 100, 50), later);
  EXPECT_EQ(file.passes.size(), 1u);
  EXPECT_EQ(file.drafts.size(), 1u);
}

TEST(Learned, DamageIsAsIfNothingWereKnown) {
  LearnedFile file;
  AddRun(file, "m", "d", RunOf(1, 2, 100, 4, 100, 50), kNow);
  const std::string whole = RenderLearned(file);
  for (size_t length = 0; length + 2 < whole.size(); length += 7)
    EXPECT_TRUE(ParseLearned(whole.substr(0, length)).passes.empty()) << length;
  for (
      const char* text :
      {"[]", "{}", R"({"version":2})",
       R"({"version":2,"passes":[1],"drafts":{"d":{"judged":1,"accepted":2,"token_s":0,"sequences":0,"at":1}}})",
       R"({"version":2,"passes":{"m":{"widths":[{"passes":1,"tokens":0,"seconds":1,"at":1}]}},"drafts":{"d":{"judged":-1,"accepted":0,"token_s":0,"sequences":0,"at":1}}})"}) {
    EXPECT_TRUE(ParseLearned(text).passes.empty() && ParseLearned(text).drafts.empty()) << text;
  }
}

TEST(Learned, NearlyTheSameMemoryIsTheSamePlace) {
  EXPECT_EQ(PassesKey(1, 1'000'000'000, "", "e"), PassesKey(1, 1'010'000'000, "", "e"));
  EXPECT_NE(PassesKey(1, 1'000'000'000, "", "e"), PassesKey(1, 1'200'000'000, "", "e"));
  EXPECT_NE(PassesKey(1, 1'000'000'000, "", "e"), PassesKey(2, 1'000'000'000, "", "e"));
  EXPECT_NE(PassesKey(1, 1'000'000'000, "", "e"), PassesKey(1, 1'000'000'000, "", "f"));
}

// A model with layers on a card must not use what was measured without it, or with others there.
TEST(Learned, PlacementsAreKeptApart) {
  const auto key = [](std::vector<DeviceMemory> devices) {
    return PassesKey(1, 1'000'000'000, PlacedText(devices), "e");
  };
  const std::string none = key({}), card = key({{"Vulkan0", 5'000'000'000, 1'000, 1'000}});
  EXPECT_EQ(none, PassesKey(1, 1'000'000'000, "", "e"));
  EXPECT_NE(none, card);
  EXPECT_EQ(card, key({{"Vulkan0", 5'010'000'000, 2'000, 9'000}})) << "nearly the same weights there";
  EXPECT_NE(card, key({{"Vulkan0", 6'000'000'000, 1'000, 1'000}}));
  EXPECT_NE(card, key({{"CUDA0", 5'000'000'000, 1'000, 1'000}}));
  EXPECT_NE(card, key({{"Vulkan0", 5'000'000'000, 0, 0}, {"Vulkan1", 1'000'000'000, 0, 0}}));
  EXPECT_EQ(none, key({{"Vulkan0", 0, 1'000, 1'000}})) << "a cache alone";
}

// A layer of 32 experts of which one has half of the uses.
std::vector<HeatTable> OnePopular() {
  HeatTable table;
  auto& popularity = table.FindOrAdd(0, 32).popularity;
  popularity.assign(32, 1.0 / 31);
  popularity[3] = 1;
  table.FindOrAdd(4096, 32);  // never used
  return {table};
}

TEST(Learned, WhatRoutersChooseIsKnownInTheNextRun) {
  LearnedFile file;
  Statistics statistics;
  statistics.expert_neighbours = 80'000;
  statistics.experts_again = 40'000;
  AddChoices(file, "m", statistics, kNow);
  const LearnedFile read = ParseLearned(RenderLearned(file));
  ASSERT_EQ(read.choices.count("m"), 1u);
  const ExpertHabits habits = HabitsOf(read.choices.at("m"), 8, OnePopular());
  EXPECT_TRUE(habits.learned);
  EXPECT_NEAR(habits.again, 0.5, 0.01);
  EXPECT_NEAR(habits.popularity[0], 0.5 + 0.5 / 31, 0.01);
  EXPECT_GT(habits.lasting, 0.9) << "of all texts that there were";
  AddChoices(file, "other", {}, kNow + kLearnedLifetimeSeconds + 1);
  EXPECT_TRUE(file.choices.empty()) << "a run that saw none, when the old one is forgotten";
}

TEST(Learned, AFewTokensSayLittleAboutExperts) {
  LearnedChoices choices{8 * kUsualTokens, 8 * kUsualTokens, kNow};
  const ExpertHabits usual, habits = HabitsOf(choices, 8, OnePopular());
  EXPECT_NEAR(habits.again, (usual.again + 1) / 2, 1e-9);
  EXPECT_NEAR(habits.popularity[0], (usual.popularity[0] + 0.5 + 0.5 / 31) / 2, 1e-9);
  EXPECT_FALSE(HabitsOf({}, 8, OnePopular()).learned);
  EXPECT_FALSE(HabitsOf(choices, 0, OnePopular()).learned) << "no mixture";
  EXPECT_NEAR(HabitsOf(choices, 8, {}).popularity[0], usual.popularity[0], 1e-12) << "no heat is kept";
  EXPECT_EQ(HabitsOf(choices, 8, {}).lasting, 0);
}

TEST(Learned, FilesFromBeforeChoicesAreRead) {
  const LearnedFile file = ParseLearned(
      R"({"version": 2, "passes": {}, "drafts": {"d": {"judged": 4, "accepted": 2, "token_s": 0, "sequences": 1, "at": 1800000000}}})");
  EXPECT_EQ(file.drafts.size(), 1u);
  EXPECT_TRUE(file.choices.empty());
  EXPECT_TRUE(ParseLearned(R"({"version": 2, "choices": {"m": {"choices": 1, "again": 2, "at": 1}}})").choices.empty())
      << "more again than there are";
}

}  // namespace
}  // namespace headrace::cli
