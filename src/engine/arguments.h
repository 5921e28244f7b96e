// What one of the engine's programs is told: the words, as they were given, and what they say. They are understood
// once, where they come from; words again they become where a program is started. Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "engine/option_table.h"

namespace headrace::cli {

struct GivenOption {
  std::optional<OptionId> option;    // nullopt: one that headrace does not know
  std::string name;                  // in OptionName's spelling
  std::optional<std::string> value;  // nullopt: it takes none, or none follows
  size_t at = 0;                     // its place among the words; that of its value is the next
};

class EngineArguments {
 public:
  EngineArguments() = default;
  EngineArguments(std::vector<std::string> words);  // NOLINT(google-explicit-constructor): the same in other clothes
  EngineArguments(std::initializer_list<std::string> words) : EngineArguments(std::vector<std::string>(words)) {}
  // Each by its first spelling.
  explicit EngineArguments(const std::vector<EngineOption>& options);

  const std::vector<std::string>& words() const { return words_; }
  bool empty() const { return words_.empty(); }
  // In their order. A word that is an option's value is none, whatever it looks like.
  const std::vector<GivenOption>& options() const { return options_; }

  bool Has(OptionId option) const;
  bool HasAny(const OptionIds& options) const;
  // Whether the option of this spelling is given, in any of its spellings if headrace knows it.
  bool Says(const std::string& name) const;
  // Of several the last one counts. Nullopt when it is not given, or without a value.
  std::optional<std::string> Value(OptionId option) const;
  // The same as a number, 0 when none is there or it is no number.
  uint64_t Number(OptionId option) const;
  // Whether all sequences share one KV cache; nullopt when nothing says so.
  std::optional<bool> SharesCache() const;
  // Whether they ask for a kind of speculation, or name what drafts.
  bool Speculates() const;
  // The name of the first of these options that is given, "" when none is. Also of "--name=value", which the engine
  // refuses with words that help nobody.
  std::string FirstOf(const OptionIds& options) const;

  EngineArguments Without(OptionId option) const;
  // Behind the others.
  void Append(const EngineArguments& more);
  void Append(const EngineOption& option) { Append(EngineArguments({option.names.front(), option.value})); }
  void Append(OptionId option, std::string value) { Append(WithValue(option, std::move(value))); }

  friend bool operator==(const EngineArguments& left, const EngineArguments& right) {
    return left.words_ == right.words_;
  }

 private:
  void Understand();

  std::vector<std::string> words_;
  std::vector<GivenOption> options_;
};

// `first`, and `second` behind it.
EngineArguments Joined(EngineArguments first, const EngineArguments& second);

}  // namespace headrace::cli
