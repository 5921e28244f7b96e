#include "exec/pack_probe.h"

#include <algorithm>

namespace headrace {
namespace {

using ProbeBytes = std::vector<uint8_t>;

// Each bit is the digit `digit` of its own number in base two.
void FillWithDigit(unsigned digit, ProbeBytes& bytes) {
  constexpr uint8_t kWithinByte[] = {0xaa, 0xcc, 0xf0};
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = digit < 3 ? kWithinByte[digit] : (i >> (digit - 3) & 1) != 0 ? 0xff : 0;
}

}  // namespace

std::optional<BitSources> FindBitSources(size_t bytes, size_t results, const Conversion& convert) {
  if (bytes == 0 || results > bytes || bytes > UINT32_MAX / 8) return std::nullopt;
  ProbeBytes probe(bytes), result(bytes);
  convert(probe.data(), result.data());
  BitSources found{std::vector<uint32_t>(8 * results), ProbeBytes(result.data(), result.data() + results)};
  for (unsigned digit = 0; (8 * bytes - 1) >> digit > 0; ++digit) {
    FillWithDigit(digit, probe);
    convert(probe.data(), result.data());
    for (size_t bit = 0; bit < found.source.size(); ++bit) {
      const auto value = static_cast<uint32_t>((result[bit / 8] ^ found.flip[bit / 8]) >> (bit % 8) & 1);
      found.source[bit] |= value << digit;
    }
  }
  if (std::any_of(found.source.begin(), found.source.end(), [&](uint32_t source) { return source >= 8 * bytes; }))
    return std::nullopt;
  return found;
}

bool Agree(size_t bytes, const Conversion& a, const Conversion& b) {
  constexpr int kInputs = 4;
  ProbeBytes input(bytes), of_a(bytes), of_b(bytes);
  uint32_t random = 1;
  for (int i = 0; i < kInputs; ++i) {
    for (uint8_t& byte : input) byte = static_cast<uint8_t>((random = random * 1664525 + 1013904223) >> 24);
    a(input.data(), of_a.data());
    b(input.data(), of_b.data());
    if (of_a != of_b) return false;
  }
  return true;
}

}  // namespace headrace
