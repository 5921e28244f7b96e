// How many tokens an answer of llama-server says that it took, read from its bytes as they pass. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::serve {

// Reads "usage" and "timings" of all its APIs, of whole answers and of streams. What a model writes cannot be taken for
// them: quotes in a text are escaped.
class AnsweredTokens {
 public:
  void Feed(std::string_view piece);
  std::optional<uint64_t> in() const;   // of the prompt, whether read or known already
  std::optional<uint64_t> out() const;  // written

 private:
  std::string last_;  // bytes of the pieces before, which may hold the beginning of a number
  std::array<std::optional<uint64_t>, 7> numbers_;
};

}  // namespace headrace::serve
