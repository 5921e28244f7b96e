// The conversion of rows into a layout of repacked kernels, as moves of bytes and of bits.
//
// Most of those layouts only interleave the blocks of some rows and flip some bits; some divide small numbers (the
// six-bit scales of Q4_K) among bytes anew. The engine's own conversion is asked once where each bit goes; after that
// the moves are made here, in an order that suits the caches and the vector units: two thirds of the engine's time for
// Q4_0, a quarter for Q4_K. Layouts whose conversion computes are left to the engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "exec/pack_probe.h"

namespace headrace {

// Immutable, thread-safe.
class PackMoves {
 public:
  // `rows` rows of `row_bytes` bytes, each of whole blocks of `block_bytes`, are what `convert` takes. Nullopt when it
  // does anything but moving bits and flipping them, in the same way for each block of a group of rows, or so many
  // small moves that they would take longer.
  static std::optional<PackMoves> Find(size_t rows, size_t row_bytes, size_t block_bytes, const Conversion& convert);

  // How many rows are interleaved: Run takes multiples of it.
  size_t group_rows() const { return group_rows_; }
  // The same as the engine's conversion of `rows` rows of `row_bytes`. No overlap.
  void Run(const uint8_t* from, uint8_t* to, size_t rows, size_t row_bytes) const;

 private:
  // Of each block: bytes at `from` of the block of row `row` go to `to` of the group's blocks at that place.
  struct BlockMove {
    uint32_t row = 0, from = 0, to = 0, bytes = 0;
    uint64_t flip = 0;
  };
  // Bytes that hold bits of several: four at a time, each from a byte of its own.
  static constexpr size_t kLanes = 4;
  struct SourceByte {
    uint32_t row = 0, from = 0;
    bool operator==(const SourceByte&) const = default;
  };
  using Sources = std::array<SourceByte, kLanes>;
  struct Part {
    uint32_t sources = 0;  // which of sources_
    int shift = 0;         // to the left; negative: to the right
    uint32_t mask = 0;     // of the bits where they go
  };
  struct Word {
    uint32_t to = 0, flip = 0;
    uint32_t first_part = 0, parts = 0;  // of parts_
  };
  class Builder;

  PackMoves(size_t block_bytes, size_t group_rows) : block_bytes_(block_bytes), group_rows_(group_rows) {}

  void MixBlocks(const uint8_t* from, uint8_t* to, size_t blocks, size_t row_bytes) const;

  size_t block_bytes_, group_rows_;
  std::vector<BlockMove> moves_;
  std::vector<Sources> sources_;
  std::vector<Part> parts_;
  std::vector<Word> words_;
};

}  // namespace headrace
