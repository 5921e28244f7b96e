#include "engine/arguments.h"

#include <algorithm>
#include <charconv>

namespace headrace::cli {

EngineArguments::EngineArguments(std::vector<std::string> words) : words_(std::move(words)) { Understand(); }

EngineArguments::EngineArguments(const std::vector<EngineOption>& options) {
  for (const EngineOption& option : options) {
    words_.emplace_back(option.names.front());
    words_.push_back(option.value);
  }
  Understand();
}

void EngineArguments::Understand() {
  options_.clear();
  for (size_t i = 0; i < words_.size(); ++i) {
    GivenOption given{FindOption(words_[i]), OptionName(words_[i]), std::nullopt, i};
    if (!given.option && !LooksLikeOption(words_[i])) continue;
    const TakesValue takes = given.option ? TakesValueOf(*given.option) : TakesValue::kNo;
    const bool more = i + 1 < words_.size();
    if (more && (takes == TakesValue::kYes || (takes == TakesValue::kPerhaps && !LooksLikeOption(words_[i + 1]))))
      given.value = words_[++i];
    options_.push_back(std::move(given));
  }
}

bool EngineArguments::Has(OptionId option) const {
  return std::any_of(options_.begin(), options_.end(),
                     [&](const GivenOption& given) { return given.option == option; });
}

bool EngineArguments::HasAny(const OptionIds& options) const {
  return std::any_of(options.begin(), options.end(), [&](OptionId option) { return Has(option); });
}

bool EngineArguments::Says(const std::string& name) const {
  if (const auto option = FindOption(name)) return Has(*option);
  return std::any_of(options_.begin(), options_.end(), [&](const GivenOption& given) { return given.name == name; });
}

std::optional<std::string> EngineArguments::Value(OptionId option) const {
  const auto last = std::find_if(options_.rbegin(), options_.rend(),
                                 [&](const GivenOption& given) { return given.option == option && given.value; });
  return last == options_.rend() ? std::nullopt : last->value;
}

uint64_t EngineArguments::Number(OptionId option) const {
  uint64_t number = 0;
  if (const auto text = Value(option)) std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

std::optional<bool> EngineArguments::SharesCache() const {
  std::optional<bool> shares;
  for (const GivenOption& given : options_) {
    if (given.option == OptionId::kSharedCache) shares = true;
    if (given.option == OptionId::kOwnCaches) shares = false;
  }
  return shares;
}

bool EngineArguments::Speculates() const {
  return std::any_of(options_.begin(), options_.end(), [](const GivenOption& given) {
    return given.name.starts_with("--spec-") || given.option == OptionId::kDraftModel ||
           given.option == OptionId::kDraftRepository;
  });
}

std::string EngineArguments::FirstOf(const OptionIds& options) const {
  for (const GivenOption& given : options_) {
    std::string name = given.name.substr(0, given.name.find('='));
    const auto option = FindOption(name);
    if (option && std::find(options.begin(), options.end(), *option) != options.end()) return name;
  }
  return "";
}

EngineArguments EngineArguments::Without(OptionId option) const {
  std::vector<std::string> words = words_;
  for (auto given = options_.rbegin(); given != options_.rend(); ++given) {
    if (given->option != option) continue;
    const auto at = words.begin() + static_cast<ptrdiff_t>(given->at);
    words.erase(at, at + (given->value ? 2 : 1));
  }
  return words;
}

void EngineArguments::Append(const EngineArguments& more) {
  words_.insert(words_.end(), more.words_.begin(), more.words_.end());
  Understand();
}

EngineArguments Joined(EngineArguments first, const EngineArguments& second) {
  first.Append(second);
  return first;
}

}  // namespace headrace::cli
