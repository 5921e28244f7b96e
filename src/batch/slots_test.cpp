#include "batch/slots.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/size.h"
#include "batch/needs.h"
#include "plan/pass_cost.h"

namespace headrace::batch {
namespace {

constexpr BatchDemand kMany{1000, 200, 1000};

TEST(Slots, TheCacheIsForWhatRunsAtATime) {
  EXPECT_EQ(CacheTokens(kMany, 1), 1024u) << "the largest fits";
  EXPECT_EQ(CacheTokens(kMany, 16), 3328u) << "16 x 200, in steps of 256";
  EXPECT_EQ(CacheTokens({}, 1), 256u);
}

TEST(Slots, AsManyAsPay) {
  // Passes that cost the same up to 8 tokens and then as much as their tokens.
  const auto seconds = [](uint64_t slots, uint64_t) {
    return std::optional(std::max(8.0, static_cast<double>(slots)));
  };
  EXPECT_EQ(ChooseSlots(kMany, 64, seconds).slots, 64u) << "no slower than 8, so the largest";
  const auto worse = [](uint64_t slots, uint64_t) {
    return std::optional(slots <= 8 ? 8.0 : 1.2 * static_cast<double>(slots));
  };
  EXPECT_EQ(ChooseSlots(kMany, 64, worse).slots, 8u);
}

TEST(Slots, NotMoreThanMemoryOrRequests) {
  const auto unknown = [](uint64_t, uint64_t tokens) { return tokens <= 4000 ? std::optional(0.0) : std::nullopt; };
  EXPECT_EQ(ChooseSlots(kMany, 64, unknown).slots, 16u);
  EXPECT_EQ(ChooseSlots({5, 200, 200}, 64, unknown).slots, 5u);
  EXPECT_EQ(ChooseSlots({5, 200, 200}, 3, unknown).slots, 3u);
  EXPECT_EQ(ChooseSlots(kMany, 64, [](uint64_t, uint64_t) { return std::optional<double>(); }).slots, 1u)
      << "the error is said elsewhere";
}

// A model of 4 GB with 1.5 GB for weights and KV cache together: long answers take memory from the resident share.
TEST(Slots, TheCacheTakesMemoryFromWeights) {
  const std::vector<WeightExtent> weights(200, WeightExtent{4096, 5120});
  const MachineProfile machine{2.4e9, 30e9, 300e9, 4e9};
  const auto chosen = [&](double mean_tokens, uint64_t token_bytes) {
    return ChooseSlots({1000, mean_tokens, static_cast<uint64_t>(mean_tokens)}, 64,
                       [&](uint64_t slots, uint64_t tokens) -> std::optional<double> {
                         const uint64_t cache = tokens * token_bytes, all = 1536 * kMiB;
                         if (cache >= all) return std::nullopt;
                         const auto plan = PlanResidency(weights, all - cache);
                         if (!plan.ok()) return std::nullopt;
                         return PassCost(*plan, machine, 7e9).Seconds(static_cast<double>(slots));
                       });
  };
  EXPECT_EQ(chosen(300, 16 * kKiB).slots, 64u);
  const SlotChoice few = chosen(4096, 128 * kKiB);
  EXPECT_LE(few.slots, 2u);
  EXPECT_GE(few.cache_tokens, 4096u);
}

TEST(Needs, OfRequests) {
  const TokenLimits limits{2048, 1024, std::nullopt};
  Demand demand;
  demand.answer_tokens = 100;
  EXPECT_EQ(NeedOf(demand, 50, limits).tokens, 150u);
  demand.answers = 3;
  EXPECT_EQ(NeedOf(demand, 50, limits).tokens, 450u);
  EXPECT_EQ(NeedOf(demand, 50, limits).slots, 3u);
  Demand unlimited;
  EXPECT_EQ(AnswerTokens(unlimited, 24, limits), 1000u) << "the usual context";
  EXPECT_EQ(AnswerTokens(unlimited, 1000, limits), 512u) << "and no less than this";
  EXPECT_EQ(AnswerTokens(unlimited, 2000, limits), 48u) << "but within the context";
  EXPECT_EQ(AnswerTokens(unlimited, 24, {2048, 1024, 7}), 7u);
  Demand list;
  list.prompts = 4;
  list.answer_tokens = 10;
  EXPECT_EQ(NeedOf(list, 100, limits).tokens, 140u);
}

TEST(Needs, TheLongestContext) {
  LongestContext longest(4096, std::nullopt);
  Demand demand;
  demand.prompt_bytes = 2000;
  demand.answer_tokens = 100;
  longest.Add(demand);
  EXPECT_EQ(longest.tokens(0), 1280u) << "half the bytes, the answer, a template, in steps of 256";
  EXPECT_EQ(longest.tokens(600), 600u) << "the model has no more";
  longest.Add({});
  EXPECT_EQ(longest.tokens(0), 4096u);
}

TEST(Needs, AddUp) {
  DemandSum sum({4096, 4096, std::nullopt});
  Demand small, large;
  small.answer_tokens = 84;
  large.answer_tokens = 284;
  sum.Add(small);
  sum.Add(large);
  sum.Add({});
  EXPECT_EQ(sum.total().requests, 3u);
  EXPECT_EQ(sum.total().largest_tokens, 4096u);
  EXPECT_DOUBLE_EQ(sum.total().mean_tokens, (100 + 300 + 4096) / 3.0);
  EXPECT_EQ(sum.unlimited(), 1u);
}

}  // namespace
}  // namespace headrace::batch
