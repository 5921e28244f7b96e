#include "exec/dense_multiplier.h"

#include <algorithm>

#include "base/clock.h"

namespace headrace {
namespace {

// From how many columns on rows are gathered before they are multiplied (docs/architecture.md): in a packed layout they are moved anyway
// and still in the cores' caches when they are multiplied at once; in the file's layout gathering is a copy.
constexpr int64_t kGatherPlain = 9, kGatherPacked = 64;

}  // namespace

Status DenseMultiplier::Multiply(Takeover& takeover) {
  Weight& weight = *takeover.weight;
  Run run;
  if (takeover.resident_rows > 0) {
    run = {0, takeover.resident_rows, reinterpret_cast<uint8_t*>(weight.storage.data()), weight.packed};
    // What is resident is multiplied while the first rows arrive.
    HEADRACE_RETURN_IF_ERROR(Flush(takeover, run, nullptr));
  }
  for (size_t i = 0; i < takeover.segments.size(); ++i) HEADRACE_RETURN_IF_ERROR(MultiplySegment(takeover, i, run));
  return Flush(takeover, run, nullptr);
}

// Takes the rows of one segment as they arrive. They are multiplied at once, while they are in the cores' caches; a wide batch
// first gathers rows, since each product converts the batch anew.
Status DenseMultiplier::MultiplySegment(Takeover& takeover, size_t index, Run& run) {
  Weight& weight = *takeover.weight;
  const SegmentRows& segment = takeover.segments[index];
  PassTimes& times = pass_.account().times;
  const uint64_t row_bytes = weight.cut.row_bytes;
  const int64_t columns = takeover.node->ne[1];
  const bool pack = weight.packed != nullptr && choice_.PackStreamed(weight.tensor.type, columns);
  const auto room = segment.keep ? pass_.RoomToKeep(weight, segment, weight.resident_rows) : Result<bool>(false);
  if (!room.ok()) return room.status();
  const bool keep = *room;
  const PackedLayout* packed = keep || pack ? weight.packed : nullptr;

  const uint64_t start = Now();
  const auto arrival = pass_.prefetcher().Await(takeover.first_segment + index, segment.rows * row_bytes);
  times.wait_ns += Now() - start;
  if (!arrival.ok()) return arrival.status();
  // The arrived bytes are const; the kernels take a pointer to data that they only read.
  uint8_t* data = const_cast<uint8_t*>(arrival->data);

  const bool gather = columns >= (packed != nullptr ? kGatherPacked : kGatherPlain) && weight.cut.by_rows;
  if (keep || pack || gather) {
    uint8_t* const storage = reinterpret_cast<uint8_t*>(weight.storage.data()) + segment.first_row * row_bytes;
    const std::span scratch = pass_.memory().scratch();
    const bool extends = run.rows > 0 && run.packed == packed && run.first_row + run.rows == segment.first_row;
    uint8_t* const behind = run.data + run.rows * row_bytes;
    uint8_t* to = keep ? storage : scratch.data();
    if (extends && !keep && run.data == scratch.data() && behind + segment.rows * row_bytes <= scratch.data() + scratch.size()) {
      to = behind;
    }
    if (!extends || to != behind) {
      HEADRACE_RETURN_IF_ERROR(Flush(takeover, run, nullptr));
      run = {segment.first_row, 0, to, packed};
    }
    run.rows += segment.rows;
    if (packed != nullptr) times.packed_bytes += segment.rows * row_bytes;
    const Move move{data, to};
    if (gather) {
      const uint64_t moving = Now();
      const Status moved = CheckProduct(product_.MoveRows(takeover.backend, weight.tensor, segment.rows, packed, move), weight);
      times.kernel_ns += Now() - moving;
      HEADRACE_RETURN_IF_ERROR(moved);
    } else {
      HEADRACE_RETURN_IF_ERROR(Flush(takeover, run, &move));
    }
  } else {
    run = {segment.first_row, segment.rows, data, nullptr};
    HEADRACE_RETURN_IF_ERROR(Flush(takeover, run, nullptr));
  }
  if (keep) weight.resident_rows = std::max(weight.resident_rows, segment.first_row + segment.rows);
  pass_.prefetcher().Release(takeover.first_segment + index);
  return {};
}

// Multiplies what the run holds, if anything, and empties it.
Status DenseMultiplier::Flush(const Takeover& takeover, Run& run, const Move* move) {
  if (run.rows == 0) return {};
  const uint64_t start = Now();
  const ggml_status status = product_.Multiply(takeover.backend, *takeover.node, run.first_row, run.rows, run.data, run.packed, move);
  pass_.account().times.kernel_ns += Now() - start;
  run = {};
  return CheckProduct(status, *takeover.weight);
}

}  // namespace headrace
