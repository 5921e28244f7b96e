#include "base/split_name.h"

#include <fmt/format.h>

namespace headrace {
namespace {

constexpr size_t kDigits = 5;

// Takes exactly five digits from the end of text.
std::optional<uint32_t> TakeNumber(std::string_view* text) {
  if (text->size() < kDigits) return std::nullopt;
  uint32_t number = 0;
  for (char c : text->substr(text->size() - kDigits)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<uint32_t>(c - '0');
  }
  text->remove_suffix(kDigits);
  return number;
}

bool Take(std::string_view* text, std::string_view suffix) {
  if (!text->ends_with(suffix)) return false;
  text->remove_suffix(suffix.size());
  return true;
}

}  // namespace

std::string SplitName::PathOf(uint32_t other_part) const {
  return fmt::format("{}-{:05}-of-{:05}.gguf", prefix, other_part, parts);
}

std::optional<SplitName> ParseSplitNumbers(std::string_view path) {
  if (!Take(&path, ".gguf")) return std::nullopt;
  const auto parts = TakeNumber(&path);
  if (!parts || !Take(&path, "-of-")) return std::nullopt;
  const auto part = TakeNumber(&path);
  if (!part || !Take(&path, "-")) return std::nullopt;
  return SplitName{std::string(path), *part, *parts};
}

std::optional<SplitName> ParseSplitName(std::string_view path) {
  auto name = ParseSplitNumbers(path);
  return name && name->part > 0 && name->part <= name->parts ? name : std::nullopt;
}

}  // namespace headrace
