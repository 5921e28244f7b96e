#include "exec/pack_moves.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace headrace {
namespace {

constexpr size_t kRows = 32, kBlocks = 37;  // more than are moved at a time, and no multiple

using Bytes = std::vector<uint8_t>;

// As the engine interleaves 4-bit weights: of `group` rows first the two bytes of each block's scale, then eight bytes
// of each in turn, flipped.
void Interleave(size_t rows, size_t row_bytes, size_t block_bytes, size_t group, const uint8_t* from, uint8_t* to) {
  for (size_t row = 0; row < rows; row += group) {
    for (size_t block = 0; block < row_bytes / block_bytes; ++block) {
      const auto at = [&](size_t r) { return from + (row + r) * row_bytes + block * block_bytes; };
      for (size_t r = 0; r < group; ++r) to = std::copy(at(r), at(r) + 2, to);
      for (size_t part = 2; part < block_bytes; part += 8) {
        for (size_t r = 0; r < group; ++r) {
          to = std::transform(at(r) + part, at(r) + std::min(part + 8, block_bytes), to,
                              [](uint8_t byte) { return byte ^ 0x88; });
        }
      }
    }
  }
}

Bytes Numbers(size_t bytes) {
  Bytes numbers(bytes);
  for (size_t i = 0; i < bytes; ++i) numbers[i] = static_cast<uint8_t>(i * i + i / 251);
  return numbers;
}

struct Shape {
  size_t block_bytes, group;
};

class Interleaved : public testing::TestWithParam<Shape> {};

TEST_P(Interleaved, IsMovedAsTheConversionDoesIt) {
  const auto [block_bytes, group] = GetParam();
  const size_t row_bytes = kBlocks * block_bytes;
  const auto moves = PackMoves::Find(kRows, row_bytes, block_bytes, [&](const uint8_t* from, uint8_t* to) {
    Interleave(kRows, row_bytes, block_bytes, group, from, to);
  });
  ASSERT_TRUE(moves);
  EXPECT_EQ(moves->group_rows(), group);
  // Also rows of another length.
  for (const size_t blocks : {kBlocks, size_t{1}, size_t{64}}) {
    const size_t rows = 3 * group, length = blocks * block_bytes;
    const Bytes from = Numbers(rows * length);
    Bytes expected(from.size()), moved(from.size());
    Interleave(rows, length, block_bytes, group, from.data(), expected.data());
    moves->Run(from.data(), moved.data(), rows, length);
    EXPECT_EQ(moved, expected) << blocks;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Interleaved,
                         testing::Values(Shape{18, 8}, Shape{18, 4}, Shape{17, 8}, Shape{34, 16}, Shape{84, 8},
                                         Shape{18, 1}));

// As the engine divides the scales of Q4_K: a block has two numbers of six bits, the first in the low bits of byte 0,
// the second in the low four of byte 1 and the high two of byte 0, and 46 bytes more. Of eight rows: for rows 0 to 3
// the first number with two bits of the one four rows on, then the same of the second, then what is left of rows 4
// to 7.
void DivideNumbers(size_t rows, size_t row_bytes, const uint8_t* from, uint8_t* to) {
  constexpr size_t kBlock = 48, kGroup = 8;
  for (size_t row = 0; row < rows; row += kGroup) {
    for (size_t block = 0; block < row_bytes / kBlock; ++block) {
      const auto at = [&](size_t r) { return from + (row + r) * row_bytes + block * kBlock; };
      const auto first = [&](size_t r) { return at(r)[0] & 63; };
      const auto second = [&](size_t r) { return (at(r)[0] & 192) >> 2 | (at(r)[1] & 15); };
      for (size_t r = 0; r < 4; ++r) *to++ = static_cast<uint8_t>(first(r) | (first(r + 4) & 48) << 2);
      for (size_t r = 0; r < 4; ++r) *to++ = static_cast<uint8_t>(second(r) | (second(r + 4) & 48) << 2);
      for (size_t r = 4; r < 8; ++r) *to++ = static_cast<uint8_t>((first(r) & 15) | (second(r) & 15) << 4);
      for (size_t r = 0; r < 8; r += 2) *to++ = static_cast<uint8_t>(~(at(r)[1] >> 4 | (at(r + 1)[1] & 240)));
      for (size_t part = 2; part < kBlock; part += 2) {
        for (size_t r = 0; r < kGroup; ++r) to = std::copy(at(r) + part, at(r) + part + 2, to);
      }
    }
  }
}

TEST(PackMovesTest, NumbersOfAFewBitsAreDividedAsTheConversionDoesIt) {
  constexpr size_t kBlock = 48;
  const auto moves = PackMoves::Find(kRows, kBlocks * kBlock, kBlock, [](const uint8_t* from, uint8_t* to) {
    DivideNumbers(kRows, kBlocks * kBlock, from, to);
  });
  ASSERT_TRUE(moves);
  EXPECT_EQ(moves->group_rows(), 8);
  for (const size_t blocks : {kBlocks, size_t{1}, size_t{64}}) {
    const size_t rows = 24, length = blocks * kBlock;
    const Bytes from = Numbers(rows * length);
    Bytes expected(from.size()), moved(from.size());
    DivideNumbers(rows, length, from.data(), expected.data());
    moves->Run(from.data(), moved.data(), rows, length);
    EXPECT_EQ(moved, expected) << blocks;
  }
}

std::optional<PackMoves> Find(const Conversion& convert) { return PackMoves::Find(kRows, kBlocks * 18, 18, convert); }

TEST(PackMovesTest, NoneOfAConversionThatComputes) {
  EXPECT_FALSE(Find([](const uint8_t* from, uint8_t* to) {
    Interleave(kRows, kBlocks * 18, 18, 8, from, to);
    for (size_t i = 0; i < kRows * kBlocks * 18; i += 18) to[i] = static_cast<uint8_t>(from[i] + from[i + 1]);
  }));
}

TEST(PackMovesTest, NoneOfAConversionThatLosesBits) {
  EXPECT_FALSE(Find([](const uint8_t* from, uint8_t* to) {
    Interleave(kRows, kBlocks * 18, 18, 8, from, to);
    for (size_t i = 0; i < kRows * kBlocks * 18; i += 18) to[i] &= 0x7f;
  }));
}

// Numbers of bytes follow each other; what depends on that shows with other bytes only.
TEST(PackMovesTest, NoneOfAConversionThatLooksAtOtherBytes) {
  EXPECT_FALSE(Find([](const uint8_t* from, uint8_t* to) {
    Interleave(kRows, kBlocks * 18, 18, 8, from, to);
    for (size_t i = 0; i < kRows * kBlocks * 18; i += 18) {
      if (static_cast<uint8_t>(from[i + 1] - from[i]) > 1) to[i] = 0;
    }
  }));
}

TEST(PackMovesTest, NoneWhereBlocksAreTreatedDifferently) {
  constexpr size_t kGroup = 8 * kBlocks * 18, kBlock = 8 * 18 * 30;
  EXPECT_FALSE(Find([](const uint8_t* from, uint8_t* to) {
    Interleave(kRows, kBlocks * 18, 18, 8, from, to);
    for (size_t group = 0; group < kRows / 8; ++group)
      std::swap(to[group * kGroup + kBlock], to[group * kGroup + kBlock + 1]);
  }));
  EXPECT_FALSE(Find([](const uint8_t* from, uint8_t* to) {
    Interleave(kRows, kBlocks * 18, 18, 8, from, to);
    for (size_t group = 0; group < kRows / 8; ++group) to[group * kGroup + kBlock] ^= 1;
  }));
}

TEST(PackMovesTest, NoneWhereGroupsAreTreatedDifferently) {
  EXPECT_FALSE(Find([](const uint8_t* from, uint8_t* to) {
    Interleave(kRows, kBlocks * 18, 18, 8, from, to);
    to[kRows * kBlocks * 18 - 1] ^= 1;
  }));
}

// Each byte is put together from eight: the engine does that as fast.
TEST(PackMovesTest, NoneOfAConversionThatMovesEveryBit) {
  EXPECT_FALSE(PackMoves::Find(8, 64, 16, [](const uint8_t* from, uint8_t* to) {
    for (size_t block = 0; block < 4; ++block) {
      for (size_t bit = 0; bit < 8 * 8 * 16; ++bit) {
        const uint8_t byte = from[bit % 8 * 64 + block * 16 + bit / 64];
        uint8_t& target = to[block * 128 + bit / 8];
        target = static_cast<uint8_t>((target & ~(1U << bit % 8)) | (byte >> bit / 8 % 8 & 1U) << bit % 8);
      }
    }
  }));
}

TEST(PackMovesTest, NoneAcrossTooManyRows) {
  EXPECT_FALSE(
      PackMoves::Find(128, 180, 18, [](const uint8_t* from, uint8_t* to) { Interleave(128, 180, 18, 64, from, to); }));
}

}  // namespace
}  // namespace headrace
