#include "plan/speculation.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

// The passes of a 4 GB model in 2 GiB (docs/architecture.md), in seconds.
PassCost Measured() {
  PassCost cost(ResidencyPlan{}, {}, 1);
  cost.Correct({{1, 1.104}, {2, 1.110}, {4, 1.128}, {8, 1.291}, {16, 1.687}, {32, 2.857}});
  return cost;
}

TEST(Speculation, ExpectsTheSumOfThePowersOfTheAcceptance) {
  for (const double acceptance : {0.0, 0.3, 0.8, 1.0}) {
    double sum = 0, power = 1;
    for (uint64_t length = 0; length < 8; ++length) {
      sum += power;
      power *= acceptance;
      EXPECT_NEAR(ExpectedTokens(acceptance, length), sum, 1e-12) << acceptance << ' ' << length;
    }
  }
}

TEST(Speculation, FindsTheAcceptanceOfATokenFromWhatWasAcceptedOfDrafts) {
  for (const double acceptance : {0.0, 0.1, 0.5, 0.6, 0.9, 1.0}) {
    for (const uint64_t length : {1u, 3u, 7u, 31u}) {
      const double accepted = ExpectedTokens(acceptance, length) - 1;
      EXPECT_NEAR(TokenAcceptance(1000 * accepted, 1000.0 * static_cast<double>(length), length), acceptance, 1e-9)
          << acceptance << ' ' << length;
    }
  }
  EXPECT_EQ(TokenAcceptance(0, 0, 3), 0);
  EXPECT_EQ(TokenAcceptance(5, 5, 0), 0);
  EXPECT_NEAR(TokenAcceptance(9, 5, 3), 1, 1e-9) << "more than was drafted";
}

TEST(Speculation, TheBestLengthIsThatOfTryingAll) {
  for (const double draft_token_s : {0.0, 0.02, 0.2}) {
    for (const uint64_t sequences : {1u, 4u}) {
      const DraftCost cost{Measured(), draft_token_s, sequences, 15};
      for (const double acceptance : {0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0}) {
        const uint64_t best = BestDraftLength(cost, acceptance);
        for (uint64_t length = 0; length <= 15; ++length) {
          EXPECT_GE(cost.TokensPerSecond(acceptance, best), cost.TokensPerSecond(acceptance, length))
              << acceptance << ' ' << length;
        }
      }
    }
  }
}

TEST(Speculation, LongerDraftsForMoreAcceptanceShorterOnesForSlowDrafts) {
  const DraftCost free{Measured()}, slow{Measured(), 0.1};
  EXPECT_EQ(BestDraftLength(free, 0), 0u);
  EXPECT_LT(BestDraftLength(free, 0.4), BestDraftLength(free, 0.9));
  EXPECT_LT(BestDraftLength(slow, 0.6), BestDraftLength(free, 0.6));
  EXPECT_LT(BestDraftLength({Measured(), 0, 4}, 0.6), BestDraftLength(free, 0.6)) << "four requests share the pass";
  EXPECT_GT(free.TokensPerSecond(0.8, BestDraftLength(free, 0.8)), 3 * free.TokensPerSecond(0.8, 0));
}

TEST(Speculation, AFreeLengthLosesAtMostThreePercent) {
  EXPECT_EQ(FreeDraftLength({Measured()}), 3u) << "a pass of four takes 1.022 of one's time, of five 1.059";
  EXPECT_EQ(FreeDraftLength({Measured(), 0, 1, 2}), 2u);
  EXPECT_EQ(FreeDraftLength({Measured(), 0.01}), 1u) << "1.130 s, and 1.149 with two";
  EXPECT_EQ(FreeDraftLength({Measured(), 0.014}), 0u) << "a token of the draft, and its pass over what is judged";
  EXPECT_EQ(FreeDraftLength({Measured(), 0.1}), 0u);
}

TEST(Speculation, ChoosesNothingWhereTheProcessorIsTheLimitOrNothingIsKnown) {
  PassCost computing(ResidencyPlan{}, {}, 1);
  computing.Correct({{1, 0.1}, {2, 0.2}, {32, 3.2}});
  EXPECT_EQ(BestDraftLength({computing}, 0.9), 0u);
  EXPECT_EQ(FreeDraftLength({computing}), 0u);
  const PassCost unknown(ResidencyPlan{}, {}, 1);
  EXPECT_EQ(BestDraftLength({unknown}, 0.9), 0u);
  EXPECT_EQ(FreeDraftLength({unknown}), 0u);
}

// A mixture that waits for its experts: a second token needs nearly as many more.
TEST(Speculation, DraftsOfAMixturePayWhereNeighboursShareExperts) {
  ResidencyPlan plan;
  plan.expert_cache_bytes = 5'000'000'000;
  const auto cost = [&](double again, uint64_t sequences) {
    ExpertHabits habits;
    habits.again = again;
    DraftCost drafts{PassCost(plan, {.disk_bytes_per_s = 1e9}, 0, ExpertDemand(10'000'000'000, 600'000'000, habits))};
    drafts.sequences = sequences;
    return drafts;
  };
  EXPECT_EQ(BestDraftLength(cost(0.25, 1), 0.8), 0u);
  EXPECT_EQ(FreeDraftLength(cost(0.25, 1)), 0u);
  EXPECT_GT(BestDraftLength(cost(0.7, 1), 0.8), 0u);
  EXPECT_GT(BestDraftLength(cost(0.25, 1), 0.95), 0u) << "what is nearly always right";
  EXPECT_GT(cost(0.25, 4).Seconds(0), 1.2 * cost(0.25, 1).Seconds(3)) << "requests are no neighbours";
}

}  // namespace
}  // namespace headrace
