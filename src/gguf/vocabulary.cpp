#include "gguf/vocabulary.h"

#include <algorithm>

#include <fmt/format.h>

#include "gguf/file_header.h"
#include "gguf/header_cursor.h"

namespace headrace {
namespace {

constexpr size_t kMostMore = 128;
constexpr size_t kFirstCompared = 5;

// Both say it, and differently.
template <typename T>
bool Differ(const std::optional<T>& a, const std::optional<T>& b) {
  return a && b && *a != *b;
}

}  // namespace

Result<Vocabulary> ReadVocabulary(const std::string& path) {
  Vocabulary vocabulary;
  const auto header = ReadFileHeader(path, &vocabulary);
  if (!header.ok()) return header.status();
  return vocabulary;
}

std::string WhyNotADraft(const Vocabulary& target, const Vocabulary& draft) {
  if (target.model != draft.model)
    return fmt::format("their tokenizers are '{}' and '{}'", Printable(target.model), Printable(draft.model));
  const size_t most = std::max(target.tokens.size(), draft.tokens.size()),
               both = std::min(target.tokens.size(), draft.tokens.size());
  if (most - both > kMostMore)
    return fmt::format("they have {} and {} tokens", target.tokens.size(), draft.tokens.size());
  for (size_t i = kFirstCompared; i < both; ++i) {
    if (target.tokens[i] == draft.tokens[i]) continue;
    return fmt::format("token {} is '{}' in one and '{}' in the other", i, Printable(target.tokens[i]),
                       Printable(draft.tokens[i]));
  }
  if (Differ(target.adds_begin, draft.adds_begin) ||
      (target.adds_begin.value_or(true) && Differ(target.begin, draft.begin))) {
    return "they begin a text with different tokens";
  }
  if (Differ(target.adds_end, draft.adds_end) || (target.adds_end.value_or(false) && Differ(target.end, draft.end))) {
    return "they end a text with different tokens";
  }
  return "";
}

}  // namespace headrace
