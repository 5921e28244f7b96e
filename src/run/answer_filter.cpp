#include "run/answer_filter.h"

#include <algorithm>

namespace headrace::run {
namespace {

constexpr std::string_view kMark = " [end of text]";

// Where the part of `text` begins that may be a beginning of, or a whole, "[mark] newlines" at its end.
size_t HeldFrom(std::string_view text) {
  size_t end = text.size();
  while (end > 0 && text[end - 1] == '\n') --end;
  if (text.substr(0, end).ends_with(kMark)) return end - kMark.size();
  if (end < text.size()) return end;
  for (size_t length = std::min(kMark.size() - 1, end); length > 0; --length) {
    if (text.ends_with(kMark.substr(0, length))) {
      // Line breaks of the text itself before the mark stay in the text.
      return end - length;
    }
  }
  return end;
}

}  // namespace

std::string AnswerFilter::Feed(std::string_view text) {
  held_ += text;
  const size_t from = HeldFrom(held_);
  std::string ready = held_.substr(0, from);
  held_.erase(0, from);
  if (!ready.empty()) {
    wrote_ = true;
    ends_in_newline_ = ready.back() == '\n';
  }
  return ready;
}

std::string AnswerFilter::Finish() {
  std::string rest = std::move(held_);
  held_.clear();
  while (!rest.empty() && rest.back() == '\n') rest.pop_back();
  if (rest.ends_with(kMark)) rest.erase(rest.size() - kMark.size());
  while (!rest.empty() && rest.back() == '\n') rest.pop_back();
  if (rest.empty() && (!wrote_ || ends_in_newline_)) return "";
  return rest + "\n";
}

}  // namespace headrace::run
