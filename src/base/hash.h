// A hash that stays the same across builds and machines, to tell contents apart; no defence against an adversary.
#pragma once

#include <cstdint>
#include <string_view>

namespace headrace {

inline constexpr uint64_t kHashSeed = 0xcbf29ce484222325;

// FNV-1a. The hash of two texts in a row: HashBytes(b, HashBytes(a)).
constexpr uint64_t HashBytes(std::string_view bytes, uint64_t seed = kHashSeed) {
  for (const char byte : bytes) seed = (seed ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return seed;
}

}  // namespace headrace
