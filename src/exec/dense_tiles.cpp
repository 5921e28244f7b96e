#include "exec/dense_tiles.h"

#include <algorithm>

#include "base/clock.h"
#include "base/size.h"

namespace headrace {
namespace {

// Streamed rows are multiplied while they are in the core's own cache.
constexpr uint64_t kStreamedTileBytes = 512 * kKiB;
constexpr uint64_t kResidentTileBytes = 2 * kMiB;
constexpr uint64_t kStreamingThreads = 4;

}  // namespace

// Whole row groups within so many bytes, divided among so many threads.
uint64_t DenseTiles::RowsAtOnce(uint64_t rows, uint64_t most_bytes, uint64_t threads) const {
  const Cut& cut = takeover_->weight->cut;
  if (!cut.by_rows) return rows;
  const uint64_t share = AlignUp((rows + threads - 1) / threads, kRowGroup);
  return std::clamp(AlignDown(most_bytes / takeover_->weight->widest_row_bytes(), kRowGroup), kRowGroup,
                    std::max(kRowGroup, share));
}

void DenseTiles::Begin(const Takeover& takeover, int threads) {
  takeover_ = &takeover;
  threads_ = threads;
  const Weight& weight = *takeover.weight;
  pack_ = weight.packed != nullptr && choice_.PackStreamed(weight.tensor.type, takeover.node->ne[1]);
  if (pack_) {
    const uint64_t all = pass_.memory().scratch().size(), least = kRowGroup * weight.widest_row_bytes();
    scratch_bytes_ = AlignDown(
        std::clamp(all / static_cast<uint64_t>(threads), least, std::max(least, kStreamedTileBytes)), kReadAlignment);
    scratch_bytes_ = std::max(scratch_bytes_, least);
    packers_ = static_cast<int>(std::min(static_cast<uint64_t>(threads), all / scratch_bytes_));
  }
  resident_row_ = 0;
  resident_tile_rows_ = RowsAtOnce(takeover.resident_rows, kResidentTileBytes, static_cast<uint64_t>(threads));
  segment_ = 0;
  segment_row_ = 0;
  kept_ = takeover.resident_rows;
  rows_left_.clear();
  for (const SegmentRows& segment : takeover.segments) rows_left_.push_back(segment.rows);
  failed_ = false;
}

// The segment from which tiles are taken next: whether there is room to keep it is asked once.
Status DenseTiles::BeginSegment() {
  const SegmentRows& segment = takeover_->segments[segment_];
  segment_row_ = 0;
  const auto room = pass_.RoomToKeep(*takeover_->weight, segment, kept_);
  if (!room.ok()) return room.status();
  keep_ = *room;
  if (keep_) kept_ = std::max(kept_, segment.first_row + segment.rows);
  // A few threads keep up with any disk: more and smaller tiles would only wake more of them.
  segment_tile_rows_ = RowsAtOnce(segment.rows, pack_ && !keep_ ? scratch_bytes_ : kStreamedTileBytes,
                                  std::min<uint64_t>(static_cast<uint64_t>(threads_), kStreamingThreads));
  return {};
}

bool DenseTiles::NextHasArrived() const {
  if (segment_ == takeover_->segments.size()) return false;
  const uint64_t rows =
      std::min(takeover_->segments[segment_].rows, segment_row_ + std::max<uint64_t>(segment_tile_rows_, 1));
  return pass_.prefetcher().Arrived(takeover_->first_segment + segment_, rows * takeover_->weight->cut.row_bytes);
}

Result<bool> DenseTiles::Take(int thread, Tile& tile) {
  const std::lock_guard lock(mutex_);
  if (failed_) return false;
  if (resident_row_ < takeover_->resident_rows && !NextHasArrived()) {
    tile = {resident_row_, std::min(resident_tile_rows_, takeover_->resident_rows - resident_row_), kResident, false};
    resident_row_ += tile.rows;
    return true;
  }
  if (segment_ == takeover_->segments.size()) return false;
  if (segment_row_ == 0) HEADRACE_RETURN_IF_ERROR(BeginSegment());
  if (pack_ && !keep_ && thread >= packers_) return false;
  const SegmentRows& segment = takeover_->segments[segment_];
  tile = {segment.first_row + segment_row_, std::min(segment_tile_rows_, segment.rows - segment_row_), segment_, keep_};
  segment_row_ += tile.rows;
  if (segment_row_ == segment.rows) {
    ++segment_;
    segment_row_ = 0;
    segment_tile_rows_ = 0;
  }
  return true;
}

Status DenseTiles::Work(int thread, Worker& worker, uint64_t& wait_ns) {
  Tile tile;
  while (true) {
    const auto taken = Take(thread, tile);
    Status status = taken.ok() ? Status() : taken.status();
    if (status.ok() && !*taken) return {};
    if (status.ok()) status = Multiply(tile, thread, worker, wait_ns);
    if (status.ok()) continue;
    {
      const std::lock_guard lock(mutex_);
      failed_ = true;
    }
    if (!takeover_->segments.empty()) pass_.prefetcher().Cancel(status);
    return status;
  }
}

Status DenseTiles::Multiply(const Tile& tile, int thread, Worker& worker, uint64_t& wait_ns) {
  if (tile.segment != kResident) return MultiplyArrived(tile, thread, worker, wait_ns);
  Weight& weight = *takeover_->weight;
  return CheckProduct(worker.product().Multiply(worker.backend(), *takeover_->node, tile.first_row, tile.rows,
                                                weight.ResidentRow(tile.first_row), weight.layout, nullptr),
                      weight);
}

Status DenseTiles::MultiplyArrived(const Tile& tile, int thread, Worker& worker, uint64_t& wait_ns) {
  Weight& weight = *takeover_->weight;
  const SegmentRows& segment = takeover_->segments[tile.segment];
  const uint64_t row_bytes = weight.cut.row_bytes, from = (tile.first_row - segment.first_row) * row_bytes;
  const auto arrival = pass_.Await(*takeover_, tile.segment, from + tile.rows * row_bytes, wait_ns);
  if (!arrival.ok()) return arrival.status();
  // The arrived bytes are const; the kernels take a pointer to data that they only read.
  uint8_t* const data = const_cast<uint8_t*>(arrival->data) + from;
  const bool moves = tile.keep || pack_;
  const PackedLayout* const packed = tile.keep ? weight.layout : pack_ ? weight.packed : nullptr;
  uint8_t* const scratch = pass_.memory().scratch().data() + static_cast<uint64_t>(thread) * scratch_bytes_;
  const Move move{data, tile.keep ? weight.ResidentRow(tile.first_row) : scratch};
  HEADRACE_RETURN_IF_ERROR(CheckProduct(
      worker.product().Multiply(worker.backend(), *takeover_->node, tile.first_row, tile.rows,
                                moves ? static_cast<uint8_t*>(move.to) : data, packed, moves ? &move : nullptr),
      weight));
  const std::lock_guard lock(mutex_);
  if (packed != nullptr) pass_.account().times.packed_bytes += tile.rows * row_bytes;
  if ((rows_left_[tile.segment] -= tile.rows) == 0) pass_.prefetcher().Release(takeover_->first_segment + tile.segment);
  return {};
}

void DenseTiles::End() {
  Weight& weight = *takeover_->weight;
  weight.resident_rows = std::max(weight.resident_rows, kept_);
}

}  // namespace headrace
