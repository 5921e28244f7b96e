#include "exec/dense_multiplier.h"

#include <algorithm>

#include "base/clock.h"
#include "base/size.h"

namespace headrace {
namespace {

// From how many columns on rows are gathered before they are multiplied (docs/narrow-batches.md): in a packed layout
// they are moved anyway and still in the cores' caches when they are multiplied at once; in the file's layout gathering
// is a copy.
constexpr int64_t kGatherPlain = 9, kGatherPacked = 64;

}  // namespace

Status DenseMultiplier::Multiply(Takeover& takeover) {
  // What is resident is multiplied while the first rows arrive.
  HEADRACE_RETURN_IF_ERROR(MultiplyResident(takeover));
  Run run;
  for (size_t i = 0; i < takeover.segments.size(); ++i) HEADRACE_RETURN_IF_ERROR(MultiplySegment(takeover, i, run));
  return Flush(takeover, run, nullptr);
}

bool DenseMultiplier::PacksResident(const Takeover& takeover) const {
  const Weight& weight = *takeover.weight;
  return weight.packed != weight.layout && choice_.PackStreamed(weight.tensor.type, takeover.node->ne[1]);
}

Status DenseMultiplier::MultiplyResident(const Takeover& takeover) {
  const Weight& weight = *takeover.weight;
  Run run;
  if (!PacksResident(takeover)) {
    run = {0, takeover.resident_rows, weight.ResidentRow(0), weight.layout};
    return Flush(takeover, run, nullptr);
  }
  const std::span scratch = pass_.memory().scratch();
  const uint64_t step = std::max(kRowGroup, AlignDown(scratch.size() / weight.packed->row_bytes, kRowGroup));
  for (uint64_t row = 0; row < takeover.resident_rows; row += step) {
    run = {row, std::min(step, takeover.resident_rows - row), scratch.data(), weight.packed};
    const Move move{weight.ResidentRow(row), scratch.data()};
    pass_.account().times.packed_bytes += run.rows * weight.cut.row_bytes;
    HEADRACE_RETURN_IF_ERROR(Flush(takeover, run, &move));
  }
  return {};
}

// Takes the rows of one segment as they arrive. They are multiplied at once, while they are in the cores' caches; a
// wide batch first gathers rows, since each product converts the batch anew.
Status DenseMultiplier::MultiplySegment(Takeover& takeover, size_t index, Run& run) {
  Weight& weight = *takeover.weight;
  const SegmentRows& segment = takeover.segments[index];
  PassTimes& times = pass_.account().times;
  const uint64_t row_bytes = weight.cut.row_bytes;
  const int64_t columns = takeover.node->ne[1];
  const bool pack = weight.packed != nullptr && choice_.PackStreamed(weight.tensor.type, columns);
  const auto room = pass_.RoomToKeep(weight, segment, weight.resident_rows);
  if (!room.ok()) return room.status();
  // What is kept as in the file, and multiplied packed, is moved twice.
  const bool twice = *room && pack && weight.packed != weight.layout, keep = *room && !twice;
  const PackedLayout* packed = keep ? weight.layout : pack ? weight.packed : nullptr;

  const auto arrival = pass_.Await(takeover, index, segment.rows * row_bytes, times.wait_ns);
  if (!arrival.ok()) return arrival.status();
  // The arrived bytes are const; the kernels take a pointer to data that they only read.
  uint8_t* data = const_cast<uint8_t*>(arrival->data);
  if (twice)
    HEADRACE_RETURN_IF_ERROR(
        MoveRows(takeover, segment.rows, weight.layout, {data, weight.ResidentRow(segment.first_row)}));

  const bool gather = columns >= (packed != nullptr ? kGatherPacked : kGatherPlain) && weight.cut.by_rows;
  if (keep || pack || gather) {
    const std::span scratch = pass_.memory().scratch();
    const uint64_t moved_row_bytes = weight.RowBytes(packed);
    const bool extends = run.rows > 0 && run.packed == packed && run.first_row + run.rows == segment.first_row;
    uint8_t* const behind = run.data + run.rows * moved_row_bytes;
    uint8_t* to = keep ? weight.ResidentRow(segment.first_row) : scratch.data();
    if (extends && !keep && run.data == scratch.data() &&
        behind + segment.rows * moved_row_bytes <= scratch.data() + scratch.size()) {
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
      HEADRACE_RETURN_IF_ERROR(MoveRows(takeover, segment.rows, packed, move));
    } else {
      HEADRACE_RETURN_IF_ERROR(Flush(takeover, run, &move));
    }
  } else {
    run = {segment.first_row, segment.rows, data, nullptr};
    HEADRACE_RETURN_IF_ERROR(Flush(takeover, run, nullptr));
  }
  if (*room) weight.resident_rows = std::max(weight.resident_rows, segment.first_row + segment.rows);
  pass_.prefetcher().Release(takeover.first_segment + index);
  return {};
}

Status DenseMultiplier::MoveRows(const Takeover& takeover, uint64_t rows, const PackedLayout* packed,
                                 const Move& move) {
  const uint64_t start = Now();
  const ggml_status status = product_.MoveRows(takeover.backend, takeover.weight->tensor, rows, packed, move);
  pass_.account().times.kernel_ns += Now() - start;
  return CheckProduct(status, *takeover.weight);
}

// Multiplies what the run holds, if anything, and empties it.
Status DenseMultiplier::Flush(const Takeover& takeover, Run& run, const Move* move) {
  if (run.rows == 0) return {};
  const uint64_t start = Now();
  const Weight& weight = *takeover.weight;
  // A weight as a whole is divided among the threads as it is without headrace.
  const bool by_shares = run.packed == nullptr && weight.cut.by_rows && run.rows < weight.cut.rows &&
                         choice_.DividesByShares(weight.tensor.type, takeover.node->ne[1]);
  ggml_status status = GGML_STATUS_SUCCESS;
  if (by_shares) {
    if (move != nullptr) status = product_.MoveRows(takeover.backend, weight.tensor, run.rows, nullptr, *move);
    if (status == GGML_STATUS_SUCCESS)
      status = shares_.Multiply(takeover.backend, *takeover.node, run.first_row, run.rows, run.data);
  } else {
    status = product_.Multiply(takeover.backend, *takeover.node, run.first_row, run.rows, run.data, run.packed, move);
  }
  pass_.account().times.kernel_ns += Now() - start;
  run = {};
  return CheckProduct(status, *takeover.weight);
}

}  // namespace headrace
