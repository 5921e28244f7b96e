// Sums over passes of about the same width (tokens in them).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace headrace {

// The widest pass that counts to each sum; wider ones than the last count nowhere.
inline constexpr std::array<uint64_t, 22> kWidthLimits = {1,  2,  3,  4,  5,   6,   7,   8,   12,  16,   24,
                                                          32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048};

// kWidthLimits.size() when it counts nowhere.
constexpr size_t WidthIndex(uint64_t tokens) {
  size_t index = 0;
  while (index < kWidthLimits.size() && tokens > kWidthLimits[index]) ++index;
  return index;
}

}  // namespace headrace
