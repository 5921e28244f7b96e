// Pieces of a range put together to fewer large ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace headrace {

class GatheredPieces {
 public:
  using Take = std::function<void(const uint8_t* data, uint64_t offset, uint64_t bytes)>;

  // Of a range of `bytes`: as few equal pieces as have at most `most_bytes` (not 0). `take` gets each, in order.
  GatheredPieces(uint64_t bytes, uint64_t most_bytes, Take take)
      : take_(std::move(take)), all_(bytes), piece_((bytes + Count(bytes, most_bytes) - 1) / Count(bytes, most_bytes)) {
    piece_bytes_.reserve(piece_);
  }

  // Those of the range in order, without gaps. The last one completes it.
  void Add(const uint8_t* data, uint64_t bytes) {
    while (bytes > 0) {
      const uint64_t part = std::min(bytes, piece_ - piece_bytes_.size());
      piece_bytes_.insert(piece_bytes_.end(), data, data + part);
      data += part;
      bytes -= part;
      if (piece_bytes_.size() < piece_ && taken_ + piece_bytes_.size() < all_) continue;
      take_(piece_bytes_.data(), taken_, piece_bytes_.size());
      taken_ += piece_bytes_.size();
      piece_bytes_.clear();
    }
  }

 private:
  static uint64_t Count(uint64_t bytes, uint64_t most_bytes) {
    return bytes == 0 ? 1 : (bytes + most_bytes - 1) / most_bytes;
  }

  const Take take_;
  const uint64_t all_, piece_;
  uint64_t taken_ = 0;
  std::vector<uint8_t> piece_bytes_;
};

}  // namespace headrace
