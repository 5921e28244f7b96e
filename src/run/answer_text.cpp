#include "run/answer_text.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace headrace::run {
namespace {

// Seconds until the first token, 0 when unknown or over.
double SecondsLeft(const PromptState& state) {
  if (state.read == 0) return state.predicted_s - state.elapsed_s;
  const auto unread = static_cast<double>(state.tokens - std::min(state.tokens, state.read));
  // Later passes show it better than the first one.
  double token_s = state.first_read_after_s / static_cast<double>(state.first_read);
  if (state.read > state.first_read) {
    token_s = (state.read_after_s - state.first_read_after_s) / static_cast<double>(state.read - state.first_read);
  }
  return unread * token_s - (state.elapsed_s - state.read_after_s);
}

std::string Duration(double seconds) {
  const auto whole = static_cast<uint64_t>(std::ceil(seconds));
  return whole < 120 ? fmt::format("{} s", whole) : fmt::format("{} min", (whole + 59) / 60);
}

}  // namespace

std::string PromptText(const PromptState& state) {
  if (state.tokens == 0) return "";
  const double left = SecondsLeft(state);
  return fmt::format("reading the prompt: {} of {} tokens{}", state.read, state.tokens,
                     left > 0 ? fmt::format(", {} left", Duration(left)) : "");
}

std::string CountsText(const AnswerCounts& counts) {
  // Every pass yields one token more than it accepts.
  const uint64_t passes = counts.tokens - std::min(counts.tokens, counts.accepted);
  std::string text = fmt::format("{} tokens in {} passes", counts.tokens, passes);
  if (counts.seconds > 0) text += fmt::format(": {:.2f} tokens/s", static_cast<double>(counts.tokens) / counts.seconds);
  return text + (counts.drafted == 0
                     ? "; no tokens were drafted"
                     : fmt::format("; {} of {} drafted tokens were accepted", counts.accepted, counts.drafted));
}

}  // namespace headrace::run
