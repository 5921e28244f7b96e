#include "serve/api/answered_tokens.h"

#include <charconv>

namespace headrace::serve {
namespace {

enum Name : size_t { kPrompt, kInput, kCompletion, kOutput, kRead, kKnown, kWritten };
constexpr std::array<std::string_view, 7> kNames = {
    "\"prompt_tokens\":", "\"input_tokens\":", "\"completion_tokens\":", "\"output_tokens\":",
    "\"prompt_n\":",      "\"cache_n\":",      "\"predicted_n\":"};
constexpr size_t kKept = 64;  // more than a name and its number

}  // namespace

void AnsweredTokens::Feed(std::string_view piece) {
  std::string text = std::move(last_);
  text += piece;
  for (size_t i = 0; i < kNames.size(); ++i) {
    // Streams repeat them: the last ones count.
    const size_t at = text.rfind(kNames[i]);
    if (at == std::string::npos) continue;
    const char* begin = text.data() + at + kNames[i].size();
    const char* const end = text.data() + text.size();
    while (begin < end && *begin == ' ') ++begin;
    uint64_t number = 0;
    if (std::from_chars(begin, end, number).ec == std::errc()) numbers_[i] = number;
  }
  last_ = text.size() > kKept ? text.substr(text.size() - kKept) : std::move(text);
}

std::optional<uint64_t> AnsweredTokens::in() const {
  if (numbers_[kPrompt]) return numbers_[kPrompt];
  if (numbers_[kInput]) return numbers_[kInput];
  if (!numbers_[kRead]) return std::nullopt;
  return *numbers_[kRead] + numbers_[kKnown].value_or(0);
}

std::optional<uint64_t> AnsweredTokens::out() const {
  for (const Name name : {kCompletion, kOutput, kWritten}) {
    if (numbers_[name]) return numbers_[name];
  }
  return std::nullopt;
}

}  // namespace headrace::serve
