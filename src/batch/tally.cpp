#include "batch/tally.h"

#include <algorithm>

#include <fmt/format.h>

#include "report/time_text.h"

namespace headrace::batch {
namespace {

// Of a token of an answer. A pass has hundreds of a prompt, and takes several times as long.
constexpr double kPromptShare = 1.0 / 8;

std::string PerSecond(uint64_t count, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(count) / seconds : 0;
  return rate < 100 ? fmt::format("{:.3g}", rate) : fmt::format("{:.0f}", rate);
}

}  // namespace

double Work::amount(double answer_share) const {
  return kPromptShare * static_cast<double>(prompt_tokens) + answer_share * static_cast<double>(answer_tokens);
}

Work& Work::operator+=(const Work& more) {
  prompt_tokens += more.prompt_tokens;
  answer_tokens += more.answer_tokens;
  return *this;
}

Work& Work::operator-=(const Work& less) {
  prompt_tokens -= less.prompt_tokens;
  answer_tokens -= less.answer_tokens;
  return *this;
}

double Tally::SecondsLeft() const {
  // Answers end before their limits; how much before is seen in those that are finished.
  const bool known = limits.answer_tokens > 0 && finished.answer_tokens > 0;
  const double share =
      known ? static_cast<double>(finished.answer_tokens) / static_cast<double>(limits.answer_tokens) : 1;
  const double so_far = finished.amount() + under_way.amount();
  if (so_far <= 0 || seconds <= 0) return 0;
  return std::max(0.0, waiting.amount(std::min(1.0, share)) - under_way.amount()) / so_far * seconds;
}

std::string ProgressText(const Tally& tally) {
  std::string text = fmt::format("{} of {} requests", tally.earlier + tally.done, tally.requests);
  if (tally.failed > 0) text += fmt::format(", {} failed", tally.failed);
  const uint64_t answers = tally.finished.answer_tokens + tally.under_way.answer_tokens;
  if (answers > 0) text += fmt::format(", {} tokens/s", PerSecond(answers, tally.seconds));
  if (const double left = tally.SecondsLeft(); left > 0) text += fmt::format(", {} left", cli::TimeText(left));
  return text;
}

std::string SummaryText(const Tally& tally) {
  std::string text =
      fmt::format("{} request{} in {}", tally.done, tally.done == 1 ? "" : "s", cli::TimeText(tally.seconds));
  if (tally.earlier > 0) text += fmt::format(" ({} were done before)", tally.earlier);
  if (tally.failed > 0) text += fmt::format(", {} failed", tally.failed);
  const uint64_t tokens = tally.finished.prompt_tokens + tally.finished.answer_tokens;
  if (tokens > 0) {
    text += fmt::format("; {} tokens of prompts and {} of answers: {} tokens/s, {} of answers",
                        tally.finished.prompt_tokens, tally.finished.answer_tokens, PerSecond(tokens, tally.seconds),
                        PerSecond(tally.finished.answer_tokens, tally.seconds));
  }
  if (tally.passes > 0) {
    text += fmt::format("; {} passes over the weights, {:.3g} tokens each", tally.passes,
                        static_cast<double>(tokens) / static_cast<double>(tally.passes));
  }
  return text;
}

}  // namespace headrace::batch
