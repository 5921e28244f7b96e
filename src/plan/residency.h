// The residency plan: which rows of which weight stay in memory and which stream, within a budget.
// Pure functions; thread-safe.
//
// Dense weights are used once per pass in a fixed order, so no cache policy beats a fixed resident share:
// with a budget of B bytes, read-ahead memory of R (the ring) and scratch of S, B - R - S bytes stay resident and
// everything else is read once per pass. The share is spread evenly over the weights so that the disk never has to
// burst. Bound: passes per second <= disk bandwidth / streamed bytes per pass.
//
// Experts are used by some tokens only. A byte of a weight that every token uses saves more, so those are
// resident first; experts have what they leave.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace headrace {

// Rows are kept and streamed in groups of this many: the repacked kernels interleave 4 to 16 rows, AMX
// tiles 32; a multiple of all keeps every piece on the kernel of the whole.
inline constexpr uint64_t kRowGroup = 64;

// One weight that is multiplied once per pass. A weight that cannot be cut by rows (a permuted view) is
// one row of all its bytes.
struct WeightExtent {
  uint64_t rows = 0;
  uint64_t row_bytes = 0;  // in the file: what is read
  uint32_t model = 0;      // index of the model it belongs to; a small model is kept resident before a large one
  bool experts = false;    // the experts of a layer: never resident by rows, the expert cache holds them
  // Of a row in memory, where it differs: of a resident row, and the most that one needs in scratch. 0: as in the file.
  uint64_t resident_row_bytes = 0;
  uint64_t scratch_row_bytes = 0;

  uint64_t bytes() const { return rows * row_bytes; }
  uint64_t ResidentBytes(uint64_t of_rows) const {
    return of_rows * (resident_row_bytes != 0 ? resident_row_bytes : row_bytes);
  }
  uint64_t ScratchBytes(uint64_t of_rows) const {
    return of_rows * (scratch_row_bytes != 0 ? scratch_row_bytes : row_bytes);
  }
};

struct ResidencyPlan {
  uint64_t segment_bytes = 0;       // the most that one read segment holds (a run of rows of one weight)
  uint64_t ring_bytes = 0;          // read-ahead memory; also when everything is resident, through which it was filled
  uint64_t scratch_bytes = 0;       // for the rows that are repacked and multiplied together; a segment or more
  uint64_t resident_bytes = 0;      // of memory
  uint64_t streamed_bytes = 0;      // per pass over all weights that are not experts
  uint64_t expert_cache_bytes = 0;  // what is left for the experts' cache; may be more than they need
  std::vector<uint64_t> resident_rows;  // for each weight, from its first row

  uint64_t total_bytes() const { return ring_bytes + scratch_bytes + resident_bytes + expert_cache_bytes; }
};

// The smallest budget that works: room for three segments of one row group of the widest weight in the
// ring and one, as it is there, or the columns of an expert (see PlanResidency), in scratch, page-aligned.
uint64_t FloorBytes(std::span<const WeightExtent> weights, uint64_t column_bytes = 0);

// What reads of several drives go through first (io/mirrored_reader.h), for each of them; 0 for
// one drive. Not a part of a plan: it comes out of the budget before.
uint64_t DriveBufferBytes(uint64_t budget_bytes, uint64_t drives);

// Weights in the order of a pass. The plan's total_bytes() never exceeds `budget_bytes`. `column_bytes` of
// scratch are wanted for the widest batch: the columns of one expert.
// `drives` are read from at once: so many times as much is read ahead, as far as the budget and the most that helps
// allow. Errors: kOutOfBudget with the arithmetic, when the budget is below FloorBytes, or too small for the columns.
Result<ResidencyPlan> PlanResidency(std::span<const WeightExtent> weights, uint64_t budget_bytes,
                                    uint64_t column_bytes = 0, uint64_t drives = 1);

}  // namespace headrace
