#include "run/answer_text.h"

#include <gtest/gtest.h>

namespace headrace::run {
namespace {

TEST(PromptProgress, GoesByThePredictionUntilPassesShowMore) {
  PromptState state;
  EXPECT_EQ(PromptText(state), "");
  state.tokens = 2048;
  EXPECT_EQ(PromptText(state), "reading the prompt: 0 of 2048 tokens");
  state.predicted_s = 20;
  state.elapsed_s = 3.5;
  EXPECT_EQ(PromptText(state), "reading the prompt: 0 of 2048 tokens, 17 s left");
  state.elapsed_s = 21;
  EXPECT_EQ(PromptText(state), "reading the prompt: 0 of 2048 tokens") << "no time that is over";
  state.read = state.first_read = 512;
  state.read_after_s = state.first_read_after_s = 22;
  state.elapsed_s = 24;
  EXPECT_EQ(PromptText(state), "reading the prompt: 512 of 2048 tokens, 64 s left") << "three times 22, less 2";
  state.read = 1024;
  state.read_after_s = 26;
  state.elapsed_s = 27;
  EXPECT_EQ(PromptText(state), "reading the prompt: 1024 of 2048 tokens, 7 s left") << "later passes take 4 s";
  state.read = 2048;
  EXPECT_EQ(PromptText(state), "reading the prompt: 2048 of 2048 tokens");
}

TEST(PromptProgress, LongTimesAreMinutes) {
  PromptState state{.tokens = 9, .predicted_s = 121};
  EXPECT_EQ(PromptText(state), "reading the prompt: 0 of 9 tokens, 3 min left");
}

TEST(AnswerCounts, PassesAreTokensThatNoDraftGave) {
  EXPECT_EQ(CountsText({64, 16, 60, 40}),
            "64 tokens in 24 passes: 4.00 tokens/s; 40 of 60 drafted tokens were accepted");
  EXPECT_EQ(CountsText({4, 0, 0, 0}), "4 tokens in 4 passes; no tokens were drafted");
}

}  // namespace
}  // namespace headrace::run
