// Names of the parts of a split model, as llama-gguf-split writes them: "NAME-00001-of-00003.gguf".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace {

struct SplitName {
  std::string prefix;  // the path up to "-00001-of-00003.gguf"
  uint32_t part = 0;   // from 1 to parts
  uint32_t parts = 0;

  // The path of another part of the same model.
  std::string PathOf(uint32_t other_part) const;
};

// None when the path is not named like a part.
std::optional<SplitName> ParseSplitName(std::string_view path);

// The same with the numbers as they stand: the part may be 0, or beyond the last one.
std::optional<SplitName> ParseSplitNumbers(std::string_view path);

}  // namespace headrace
