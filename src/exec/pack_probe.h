// What a conversion does to the bits of its input, found by converting bytes that are made for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace headrace {

// Converts as many bytes from `from` to `to` as its owner knows of. They do not overlap.
using Conversion = std::function<void(const uint8_t* from, uint8_t* to)>;

// Of the first bytes of the result, for a conversion that moves bits and flips some.
struct BitSources {
  std::vector<uint32_t> source;  // of each bit: the number of the bit that it is in the input
  std::vector<uint8_t> flip;     // of each byte: which of its bits are flipped
};

// Of the first `results` bytes that `convert` makes from `bytes`. What it says of a conversion that does anything else
// is wrong: see Agree. Nullopt when that shows already. Calls `convert` once for each bit of the numbers of bits, and
// once more.
std::optional<BitSources> FindBitSources(size_t bytes, size_t results, const Conversion& convert);

// Whether both make the same of a few random inputs of `bytes` bytes.
bool Agree(size_t bytes, const Conversion& a, const Conversion& b);

}  // namespace headrace
