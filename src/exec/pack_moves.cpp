#include "exec/pack_moves.h"

#include <algorithm>
#include <cstring>

namespace headrace {
namespace {

constexpr size_t kMostGroupRows = 32;
// Blocks whose moves of one kind are made one after the other: what they touch stays in the first cache.
constexpr size_t kTileBlocks = 16;

using Bytes = std::vector<uint8_t>;

// Where each byte of the result comes from, and its flipped bits.
struct ByteMap {
  std::vector<uint32_t> source;
  Bytes flip;
};

// The probes write each byte's own number into it, a byte of the number at a time.
std::optional<ByteMap> MapBytes(size_t bytes, const PackMoves::Convert& convert) {
  if (bytes > UINT32_MAX) return std::nullopt;
  Bytes probe(bytes), result(bytes);
  ByteMap map{std::vector<uint32_t>(bytes), Bytes(bytes)};
  convert(probe.data(), map.flip.data());
  for (unsigned shift = 0; shift < 32 && (bytes - 1) >> shift > 0; shift += 8) {
    for (size_t i = 0; i < bytes; ++i) probe[i] = static_cast<uint8_t>(i >> shift);
    convert(probe.data(), result.data());
    for (size_t i = 0; i < bytes; ++i) map.source[i] |= static_cast<uint32_t>(result[i] ^ map.flip[i]) << shift;
  }
  if (std::any_of(map.source.begin(), map.source.end(), [&](uint32_t source) { return source >= bytes; }))
    return std::nullopt;
  // That nothing else was done to them shows with other bytes.
  uint32_t random = 1;
  for (uint8_t& byte : probe) byte = static_cast<uint8_t>((random = random * 1664525 + 1013904223) >> 24);
  convert(probe.data(), result.data());
  for (size_t i = 0; i < bytes; ++i) {
    if (result[i] != (probe[map.source[i]] ^ map.flip[i])) return std::nullopt;
  }
  return map;
}

// Whether the first `rows` rows are a group: they stay among themselves, and each of their blocks is moved as the one
// before.
bool IsGroup(const ByteMap& map, size_t rows, size_t row_bytes, size_t block_bytes) {
  const size_t bytes = rows * row_bytes, period = rows * block_bytes;
  for (size_t i = 0; i < map.source.size(); ++i) {
    if (i >= bytes) {
      if (map.source[i] != map.source[i - bytes] + bytes || map.flip[i] != map.flip[i - bytes]) return false;
    } else if (i >= period) {
      if (map.source[i] != map.source[i - period] + block_bytes || map.flip[i] != map.flip[i - period]) return false;
    } else if (map.source[i] >= bytes || map.source[i] % row_bytes >= block_bytes) {
      return false;
    }
  }
  return true;
}

template <typename Word>
void MoveWords(const uint8_t* from, uint8_t* to, size_t blocks, size_t from_step, size_t to_step, uint64_t flip) {
  for (size_t block = 0; block < blocks; ++block, from += from_step, to += to_step) {
    Word word;
    std::memcpy(&word, from, sizeof(word));
    word = static_cast<Word>(word ^ static_cast<Word>(flip));
    std::memcpy(to, &word, sizeof(word));
  }
}

}  // namespace

std::optional<PackMoves> PackMoves::Find(size_t rows, size_t row_bytes, size_t block_bytes, const Convert& convert) {
  if (rows == 0 || row_bytes == 0 || row_bytes % block_bytes != 0) return std::nullopt;
  const auto map = MapBytes(rows * row_bytes, convert);
  if (!map) return std::nullopt;
  size_t group = 1;
  while (group <= kMostGroupRows && (rows % group != 0 || !IsGroup(*map, group, row_bytes, block_bytes))) group *= 2;
  if (group > kMostGroupRows) return std::nullopt;

  PackMoves moves(block_bytes, group);
  const size_t period = group * block_bytes;
  for (size_t to = 0; to < period;) {
    const uint32_t source = map->source[to];
    size_t length = 1;
    while (length < sizeof(uint64_t) && to + length < period && source % row_bytes + length < block_bytes &&
           map->source[to + length] == source + length) {
      ++length;
    }
    while ((length & (length - 1)) != 0) --length;  // 8, 4, 2 or 1
    BlockMove& move = moves.moves_.emplace_back();
    move.row = static_cast<uint32_t>(source / row_bytes);
    move.from = static_cast<uint32_t>(source % row_bytes);
    move.to = static_cast<uint32_t>(to);
    move.bytes = static_cast<uint32_t>(length);
    std::memcpy(&move.flip, map->flip.data() + to, length);
    to += length;
  }
  return moves;
}

void PackMoves::Run(const uint8_t* from, uint8_t* to, size_t rows, size_t row_bytes) const {
  const size_t blocks = row_bytes / block_bytes_, period = group_rows_ * block_bytes_;
  for (size_t row = 0; row < rows; row += group_rows_) {
    for (size_t block = 0; block < blocks; block += kTileBlocks) {
      const size_t count = std::min(kTileBlocks, blocks - block);
      for (const BlockMove& move : moves_) {
        const uint8_t* source = from + (row + move.row) * row_bytes + block * block_bytes_ + move.from;
        uint8_t* target = to + row * row_bytes + block * period + move.to;
        switch (move.bytes) {
          case 8:
            MoveWords<uint64_t>(source, target, count, block_bytes_, period, move.flip);
            break;
          case 4:
            MoveWords<uint32_t>(source, target, count, block_bytes_, period, move.flip);
            break;
          case 2:
            MoveWords<uint16_t>(source, target, count, block_bytes_, period, move.flip);
            break;
          default:
            MoveWords<uint8_t>(source, target, count, block_bytes_, period, move.flip);
        }
      }
    }
  }
}

}  // namespace headrace
