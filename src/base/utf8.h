// UTF-8, character by character.
#pragma once

#include <cstddef>
#include <string_view>

namespace headrace {

// Bytes of the character that `text` begins with; 0 when it begins with none: empty, cut off, too long a form, no
// character.
constexpr size_t Utf8Length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xc2 && first < 0xe0   ? 2
                        : (first & 0xf0) == 0xe0        ? 3
                        : first >= 0xf0 && first < 0xf5 ? 4
                                                        : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool too_long = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool none = (first == 0xed && byte(1) >= 0xa0) ||
                    (first == 0xf4 && byte(1) >= 0x90);  // half a pair of UTF-16; beyond the last
  return too_long || none ? 0 : length;
}

}  // namespace headrace
