#include "batch/tally.h"

#include <gtest/gtest.h>

#include "batch/usage.h"

namespace headrace::batch {
namespace {

TEST(Tally, TimeLeft) {
  Tally tally;
  EXPECT_EQ(tally.SecondsLeft(), 0) << "unknown";
  tally.seconds = 10;
  tally.waiting = {0, 300};
  tally.under_way = {0, 100};
  EXPECT_DOUBLE_EQ(tally.SecondsLeft(), 20) << "200 of 300 tokens are left";
  // Answers of half their limit: so will the others.
  tally.under_way = {};
  tally.finished = {0, 100};
  tally.limits = {0, 200};
  EXPECT_DOUBLE_EQ(tally.SecondsLeft(), 15);
  tally.under_way = {0, 1000};
  EXPECT_DOUBLE_EQ(tally.SecondsLeft(), 0) << "never negative";
}

TEST(Tally, TimeLeftOfPromptsAlone) {
  Tally tally;
  tally.seconds = 10;
  tally.finished = {1000, 0};
  tally.waiting = {3000, 0};
  EXPECT_DOUBLE_EQ(tally.SecondsLeft(), 30);
}

TEST(Tally, Texts) {
  Tally tally;
  tally.requests = 64;
  tally.earlier = 2;
  tally.done = 10;
  tally.failed = 1;
  tally.finished = {800, 400};
  tally.limits = {800, 400};
  tally.waiting = {0, 4000};
  tally.seconds = 20;
  tally.passes = 60;
  EXPECT_EQ(ProgressText(tally), "12 of 64 requests, 1 failed, 20 tokens/s, 2 min 40 s left");
  EXPECT_EQ(SummaryText(tally),
            "10 requests in 20 s (2 were done before), 1 failed; 800 tokens of prompts and 400 of answers: 60 "
            "tokens/s, 20 of "
            "answers; 60 passes over the weights, 20 tokens each");
  tally.finished = {800, 40000};
  EXPECT_NE(SummaryText(tally).find("2040 tokens/s, 2000 of answers"), std::string::npos) << SummaryText(tally);
}

TEST(Answer, WhatTheEngineSays) {
  const Usage usage =
      UsageOf(R"({"usage": {"prompt_tokens": 5, "completion_tokens": 7}, "choices": [{"finish_reason": "stop"}]})");
  EXPECT_EQ(usage.work.prompt_tokens, 5u);
  EXPECT_EQ(usage.work.answer_tokens, 7u);
  EXPECT_FALSE(usage.ended_by_length);
  EXPECT_TRUE(UsageOf(R"({"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}]})").ended_by_length);
  for (const char* odd :
       {"", "7", "[]", R"({"usage": 3, "choices": {"a": 1}})", R"({"usage": {"prompt_tokens": -1}, "choices": [4]})"}) {
    EXPECT_EQ(UsageOf(odd).work.prompt_tokens, 0u) << odd;
  }
}

TEST(Answer, WhatSlotsDo) {
  const Work work =
      UnderWay(R"([{"is_processing": true, "n_prompt_tokens_processed": 9, "next_token": [{"n_decoded": 4}]},
                                 {"is_processing": false, "n_prompt_tokens_processed": 9, "next_token": [{"n_decoded": 4}]},
                                 {"is_processing": true, "next_token": 3}, 7])");
  EXPECT_EQ(work.prompt_tokens, 9u);
  EXPECT_EQ(work.answer_tokens, 4u);
  EXPECT_EQ(UnderWay("{bad").answer_tokens, 0u);
}

}  // namespace
}  // namespace headrace::batch
