#include "random_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace headrace::bench {
namespace {

constexpr uint32_t kLargestBlock = 210;
constexpr uint16_t kHalfSign = 0x8000;

// SplitMix64 as a counter: the n-th word of a stream, without the words before it.
uint64_t RandomWord(uint64_t seed, uint64_t n) {
  uint64_t z = seed + (n + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

struct Blocks {
  TensorType type;
  BlockLayout layout;
  uint64_t seed;
  uint16_t scale;      // half
  uint16_t min_scale;  // half, Q4_K and Q5_K
  uint8_t exponent;    // MXFP4
};

// Uniform quants have a mean of -0.5 steps (Q4_0: -8..7, Q5_0: -16..15, Q6_K: -32..31, Q8_0: -128..127). In a matrix
// that would be one direction far stronger than all others and every logit vector alike, so each block or sub-block has
// a random sign. Q4_K and Q5_K have a minimum of their own: 7.5 and 15.5 steps below zero centre them. MXFP4 is
// symmetric.
void FillBlock(const Blocks& blocks, uint64_t index, uint8_t* out) {
  const uint32_t words = (blocks.layout.bytes + 7) / 8;
  const uint64_t base = index * words;
  uint64_t word = 0;
  for (uint32_t i = 0; i < words; ++i) {
    word = RandomWord(blocks.seed, base + i);
    std::memcpy(out + i * 8, &word, std::min<size_t>(8, blocks.layout.bytes - i * 8));
  }
  const uint16_t sign = (word >> 63) != 0 ? kHalfSign : 0;
  switch (blocks.type) {
    case TensorType::kF32:
      break;
    case TensorType::kQ4_0:
    case TensorType::kQ5_0:
    case TensorType::kQ8_0: {
      const uint16_t d = blocks.scale ^ sign;
      std::memcpy(out, &d, 2);
      break;
    }
    case TensorType::kQ4_K:
    case TensorType::kQ5_K: {
      const uint16_t d = blocks.scale ^ sign, dmin = blocks.min_scale ^ sign;
      std::memcpy(out, &d, 2);
      std::memcpy(out + 2, &dmin, 2);
      // The packed 6-bit scales (12 bytes) and minima: equal halves make every minimum equal its scale. 32..63 each.
      uint8_t* packed = out + 4;
      for (int i = 0; i < 4; ++i) {
        packed[i] |= 0xA0;
        packed[i + 4] = packed[i];
        packed[i + 8] = static_cast<uint8_t>((packed[i + 8] & 0x0F) * 0x11);
      }
      break;
    }
    case TensorType::kQ6_K:
      std::memcpy(out + 208, &blocks.scale, 2);
      break;
    case TensorType::kMxfp4:
      out[0] = blocks.exponent;
      break;
  }
}

void FillFloats(const Filling& filling, uint64_t seed, uint64_t begin, uint64_t length, uint8_t* out) {
  uint64_t done = 0;
  while (done < length) {
    const uint64_t element = (begin + done) / 4, in_element = (begin + done) % 4;
    double value = filling.mean;
    if (filling.spread > 0)
      value +=
          (static_cast<double>(RandomWord(seed, element) >> 11) * 0x1p-52 - 1) * filling.spread;  // the top 53 bits
    const auto single = static_cast<float>(value);
    const uint64_t bytes = std::min(4 - in_element, length - done);
    std::memcpy(out + done, reinterpret_cast<const uint8_t*>(&single) + in_element, bytes);
    done += bytes;
  }
}

// Of an identity in Q8_0: the row's one, when it is in this block.
void FillIdentityBlock(uint64_t index, uint64_t row_blocks, uint8_t* out) {
  std::memset(out, 0, 34);
  const uint64_t row = index / row_blocks;
  if (row / 32 != index % row_blocks) return;
  const uint16_t d = ToHalf(1.0f / 127);
  std::memcpy(out, &d, 2);
  out[2 + row % 32] = 127;
}

}  // namespace

BlockLayout BlockLayoutOf(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return {1, 4};
    case TensorType::kQ4_0:
      return {32, 18};
    case TensorType::kQ5_0:
      return {32, 22};
    case TensorType::kQ8_0:
      return {32, 34};
    case TensorType::kQ4_K:
      return {256, 144};
    case TensorType::kQ5_K:
      return {256, 176};
    case TensorType::kQ6_K:
      return {256, 210};
    case TensorType::kMxfp4:
      return {32, 17};
  }
  return {};
}

uint16_t ToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & kHalfSign;
  const float magnitude = std::fabs(value);
  // Below 2^-14 halves are subnormal: multiples of 2^-24.
  if (magnitude < 0x1p-14f)
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::lround(magnitude * 0x1p24f)));
  const uint32_t rounded = (bits & 0x7FFFFFFF) + 0x1000;  // half of the last kept mantissa bit
  return static_cast<uint16_t>(sign | ((rounded >> 13) - ((127 - 15) << 10)));
}

void FillWeights(TensorType type, uint64_t row_elements, uint64_t seed, uint64_t begin, uint64_t length, uint8_t* out,
                 const Filling& filling) {
  if (type == TensorType::kF32) {
    FillFloats(filling, seed, begin, length, out);
    return;
  }
  // Standard deviations of the uniform quants, times the mean square of the sub-block scales.
  const float deviation = static_cast<float>(filling.gain) / std::sqrt(static_cast<float>(row_elements));
  Blocks blocks{type, BlockLayoutOf(type), seed, 0, 0, 0};
  if (type == TensorType::kQ4_0) blocks.scale = ToHalf(deviation / 4.63f);
  if (type == TensorType::kQ5_0) blocks.scale = ToHalf(deviation / 9.25f);
  if (type == TensorType::kQ8_0) blocks.scale = ToHalf(deviation / 73.9f);
  if (type == TensorType::kQ4_K) {
    blocks.scale = ToHalf(deviation / (4.61f * 48.4f));
    blocks.min_scale = ToHalf(deviation / (4.61f * 48.4f) * 7.5f);
  }
  if (type == TensorType::kQ5_K) {
    blocks.scale = ToHalf(deviation / (9.23f * 48.4f));
    blocks.min_scale = ToHalf(deviation / (9.23f * 48.4f) * 15.5f);
  }
  if (type == TensorType::kQ6_K) blocks.scale = ToHalf(deviation / (18.48f * 73.9f));
  // 4-bit floats of 0 to 6 in steps of a half: 5.85 halves is their root mean square. Nearest power of two.
  if (type == TensorType::kMxfp4)
    blocks.exponent = static_cast<uint8_t>(128 + std::lround(std::log2(deviation / 5.85f)));

  const uint64_t block_bytes = blocks.layout.bytes;
  const uint64_t row_blocks = row_elements / blocks.layout.elements;
  const auto alike = static_cast<uint64_t>(filling.alike * static_cast<double>(row_blocks));
  const uint64_t end = begin + length;
  const auto fill = [&](uint64_t index, uint8_t* block) {
    if (filling.identity) return FillIdentityBlock(index, row_blocks, block);
    FillBlock(blocks, index % row_blocks < alike ? index % row_blocks : index, block);
  };
  uint8_t partial[kLargestBlock];
  for (uint64_t index = begin / block_bytes; index * block_bytes < end; ++index) {
    const uint64_t block_begin = index * block_bytes;
    if (block_begin >= begin && block_begin + block_bytes <= end) {
      fill(index, out + (block_begin - begin));
      continue;
    }
    fill(index, partial);
    const uint64_t from = std::max(block_begin, begin), to = std::min(block_begin + block_bytes, end);
    std::memcpy(out + (from - begin), partial + (from - block_begin), to - from);
  }
}

Filling RandomFloats(uint64_t row_elements) {
  Filling filling;
  filling.mean = 0;
  filling.spread = std::sqrt(3.0 / static_cast<double>(row_elements));  // a uniform in [-1, 1) has a variance of 1/3
  return filling;
}

}  // namespace headrace::bench
