#include "exec/pack_moves.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace headrace {
namespace {

constexpr size_t kMostGroupRows = 32;
// Blocks whose moves of one kind are made one after the other: what they touch stays in the first cache.
constexpr size_t kTileBlocks = 16;
// Of the places that bits are gathered from: so many fit into the first cache, too.
constexpr size_t kMostSources = 64;
// A part of a word takes about as long as moving this many bytes; where parts take longer than a quarter of all the
// moves, the engine's conversion is as fast.
constexpr size_t kPartBytes = 8;

static_assert(std::endian::native == std::endian::little, "the first byte of a word is its lowest");

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

// The moves of the first block of a group of rows, from where its bits come from.
class PackMoves::Builder {
 public:
  Builder(const BitSources& bits, size_t row_bytes, size_t block_bytes, size_t group)
      : bits_(bits), row_bytes_(row_bytes), period_(group * block_bytes), moves_(block_bytes, group) {}

  std::optional<PackMoves> Build() {
    if (!StaysWithin()) return std::nullopt;
    for (size_t to = 0; to < period_;) {
      const size_t length = WholeBytes(to);
      if (length > 1 || (length == 1 && to + kLanes > period_)) {
        AddMove(to, length);
        to += length;
      } else if (to + kLanes <= period_) {
        AddWord(to);
        to += kLanes;
      } else {
        return std::nullopt;
      }
    }
    if (moves_.sources_.size() > kMostSources || kPartBytes * moves_.parts_.size() > period_ / 2) return std::nullopt;
    return moves_;
  }

 private:
  SourceByte SourceOf(size_t bit) const {
    const uint32_t byte = bits_.source[bit] / 8;
    const auto row_bytes = static_cast<uint32_t>(row_bytes_);
    return {byte / row_bytes, byte % row_bytes};
  }

  // The group's rows stay among themselves, and its first blocks, too.
  bool StaysWithin() const {
    for (size_t bit = 0; bit < 8 * period_; ++bit) {
      const SourceByte source = SourceOf(bit);
      if (source.row >= moves_.group_rows_ || source.from >= moves_.block_bytes_) return false;
    }
    return true;
  }

  // How many bytes from `to` on follow each other in a block, too, as they are: 8, 4, 2, 1 or none.
  size_t WholeBytes(size_t to) const {
    const uint32_t first = bits_.source[8 * to];
    size_t bits = 0;
    while (bits < 64 && 8 * to + bits < 8 * period_ && bits_.source[8 * to + bits] == first + bits &&
           SourceOf(8 * to + bits).row == SourceOf(8 * to).row && SourceOf(8 * to + bits).from < moves_.block_bytes_)
      ++bits;
    return first % 8 != 0 ? 0 : std::bit_floor(bits / 8);
  }

  void AddMove(size_t to, size_t length) {
    const SourceByte source = SourceOf(8 * to);
    BlockMove& move = moves_.moves_.emplace_back();
    move = {source.row, source.from, static_cast<uint32_t>(to), static_cast<uint32_t>(length), 0};
    std::memcpy(&move.flip, bits_.flip.data() + to, length);
  }

  // Bits that are shifted as far, one byte for each lane.
  struct Gathered {
    int shift = 0;
    std::array<std::optional<SourceByte>, kLanes> sources;
    uint32_t mask = 0;
  };

  void AddWord(size_t to) {
    std::vector<Gathered> gathered;
    for (size_t bit = 0; bit < 8 * kLanes; ++bit) {
      const SourceByte source = SourceOf(8 * to + bit);
      const int shift = static_cast<int>(bit % 8) - static_cast<int>(bits_.source[8 * to + bit] % 8);
      const size_t lane = bit / 8;
      auto part = std::find_if(gathered.begin(), gathered.end(), [&](const Gathered& other) {
        return other.shift == shift && other.sources[lane].value_or(source) == source;
      });
      if (part == gathered.end()) part = gathered.insert(part, Gathered{shift, {}, 0});
      part->sources[lane] = source;
      part->mask |= uint32_t{1} << bit;
    }
    Word& word = moves_.words_.emplace_back();
    word.to = static_cast<uint32_t>(to);
    word.first_part = static_cast<uint32_t>(moves_.parts_.size());
    word.parts = static_cast<uint32_t>(gathered.size());
    std::memcpy(&word.flip, bits_.flip.data() + to, kLanes);
    for (const Gathered& part : gathered) moves_.parts_.push_back({FindOrAddSources(part), part.shift, part.mask});
  }

  uint32_t FindOrAddSources(const Gathered& part) {
    std::vector<Sources>& all = moves_.sources_;
    const auto known = std::find_if(all.begin(), all.end(), [&](const Sources& sources) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        if (part.sources[lane].value_or(sources[lane]) != sources[lane]) return false;
      }
      return true;
    });
    const auto number = static_cast<uint32_t>(known - all.begin());
    if (known == all.end()) {
      Sources& sources = all.emplace_back();
      for (size_t lane = 0; lane < kLanes; ++lane) sources[lane] = part.sources[lane].value_or(SourceByte{});
    }
    return number;
  }

  const BitSources& bits_;
  size_t row_bytes_, period_;
  PackMoves moves_;
};

std::optional<PackMoves> PackMoves::Find(size_t rows, size_t row_bytes, size_t block_bytes, const Conversion& convert) {
  if (rows == 0 || row_bytes == 0 || row_bytes % block_bytes != 0) return std::nullopt;
  const auto bits = FindBitSources(rows * row_bytes, std::min(kMostGroupRows, rows) * block_bytes, convert);
  if (!bits) return std::nullopt;
  for (size_t group = 1; group <= std::min(kMostGroupRows, rows); group *= 2) {
    if (rows % group != 0) break;
    const auto moves = Builder(*bits, row_bytes, block_bytes, group).Build();
    if (!moves) continue;
    const Conversion run = [&](const uint8_t* from, uint8_t* to) { moves->Run(from, to, rows, row_bytes); };
    if (Agree(rows * row_bytes, run, convert)) return moves;
  }
  return std::nullopt;
}

void PackMoves::Run(const uint8_t* from, uint8_t* to, size_t rows, size_t row_bytes) const {
  // Copies, since what is written could be any of the members for all that the compiler knows.
  const size_t block_bytes = block_bytes_, period = group_rows_ * block_bytes_, blocks = row_bytes / block_bytes;
  for (size_t row = 0; row < rows; row += group_rows_) {
    for (size_t block = 0; block < blocks; block += kTileBlocks) {
      const size_t count = std::min(kTileBlocks, blocks - block);
      const uint8_t* const group = from + row * row_bytes + block * block_bytes;
      uint8_t* const packed = to + row * row_bytes + block * period;
      for (const BlockMove& move : moves_) {
        const uint8_t* const source = group + move.row * row_bytes + move.from;
        uint8_t* const target = packed + move.to;
        switch (move.bytes) {
          case 8:
            MoveWords<uint64_t>(source, target, count, block_bytes, period, move.flip);
            break;
          case 4:
            MoveWords<uint32_t>(source, target, count, block_bytes, period, move.flip);
            break;
          case 2:
            MoveWords<uint16_t>(source, target, count, block_bytes, period, move.flip);
            break;
          default:
            MoveWords<uint8_t>(source, target, count, block_bytes, period, move.flip);
        }
      }
      if (!words_.empty()) MixBlocks(group, packed, count, row_bytes);
    }
  }
}

// First all bytes that bits come from, four by four; then the words, each of all blocks at once.
void PackMoves::MixBlocks(const uint8_t* from, uint8_t* to, size_t blocks, size_t row_bytes) const {
  using OfBlocks = std::array<uint32_t, kTileBlocks>;
  std::array<OfBlocks, kMostSources> gathered;
  for (size_t i = 0; i < sources_.size(); ++i) {
    std::array<const uint8_t*, kLanes> at;
    for (size_t lane = 0; lane < kLanes; ++lane)
      at[lane] = from + sources_[i][lane].row * row_bytes + sources_[i][lane].from;
    OfBlocks& words = gathered[i];
    words = {};
    for (size_t block = 0, byte = 0; block < blocks; ++block, byte += block_bytes_) {
      words[block] = uint32_t{at[0][byte]} | uint32_t{at[1][byte]} << 8 | uint32_t{at[2][byte]} << 16 |
                     uint32_t{at[3][byte]} << 24;
    }
  }
  const size_t period = group_rows_ * block_bytes_;
  for (const Word& word : words_) {
    OfBlocks mixed;
    mixed.fill(word.flip);
    for (uint32_t i = word.first_part; i < word.first_part + word.parts; ++i) {
      const Part& part = parts_[i];
      const OfBlocks& source = gathered[part.sources];
      const uint32_t mask = part.mask;
      if (part.shift >= 0) {
        const auto shift = static_cast<unsigned>(part.shift);
        for (size_t block = 0; block < kTileBlocks; ++block) mixed[block] ^= source[block] << shift & mask;
      } else {
        const auto shift = static_cast<unsigned>(-part.shift);
        for (size_t block = 0; block < kTileBlocks; ++block) mixed[block] ^= source[block] >> shift & mask;
      }
    }
    for (size_t block = 0; block < blocks; ++block)
      std::memcpy(to + word.to + block * period, &mixed[block], sizeof mixed[block]);
  }
}

}  // namespace headrace
