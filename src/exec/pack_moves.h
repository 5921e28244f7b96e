// The conversion of rows into a layout of repacked kernels, as moves of a few bytes each.
//
// Most of those layouts only interleave the blocks of some rows and flip some bits. The engine's own conversion
// is asked once where each byte goes; after that the moves are made here, in an order that suits the caches: a good
// half of the engine's time for it. Layouts whose conversion computes (Q4_K's scales) are left to the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace headrace {

// Immutable, thread-safe.
class PackMoves {
 public:
  // Converts all rows of a probe.
  using Convert = std::function<void(const uint8_t* from, uint8_t* to)>;

  // `rows` rows of `row_bytes` bytes, each of whole blocks of `block_bytes`, are what `convert` takes. Nullopt when it
  // does anything but moving bytes and flipping bits, in the same way for each block of a group of rows. Calls it up to
  // six times.
  static std::optional<PackMoves> Find(size_t rows, size_t row_bytes, size_t block_bytes, const Convert& convert);

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

  PackMoves(size_t block_bytes, size_t group_rows) : block_bytes_(block_bytes), group_rows_(group_rows) {}

  size_t block_bytes_, group_rows_;
  std::vector<BlockMove> moves_;
};

}  // namespace headrace
