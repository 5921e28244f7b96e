#include "plan/residency.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "base/size.h"

namespace headrace {
namespace {

// What is read in one piece: small, so that a consumer that keeps up with the disk works in the same few
// megabytes of cache all the time (docs/benchmarks.md).
constexpr uint64_t kMaxSegmentBytes = 2 * kMiB;
// A whole 14336 x 4096 Q4_0 matrix (31.5 MiB) fits: a wide batch converts its activations once per
// product, so cutting such a matrix in four costs a prompt about 3 %.
constexpr uint64_t kMaxScratchBytes = 32 * kMiB;
// Look-ahead while the computation does not consume: the next product's rows while a wide one is computed.
constexpr uint64_t kMaxRingBytes = 64 * kMiB;
constexpr uint64_t kRingSegments = 3;
// Eight reads of half a megabyte or more reach the speed of a drive.
constexpr uint64_t kLeastDriveBuffer = 128 * kKiB, kMostDriveBuffer = 4 * kMiB;
constexpr uint64_t kDriveBufferPart = 128;
constexpr uint64_t kMostRings = 3;  // a quarter of the budget, for several drives

// A segment starts anywhere in a page and is read in whole pages.
uint64_t SpanBytes(uint64_t bytes) { return AlignUp(bytes, kReadAlignment) + kReadAlignment; }

// The widest row group as it is read, and in scratch.
struct Widest {
  explicit Widest(std::span<const WeightExtent> weights) {
    for (const WeightExtent& weight : weights) {
      const uint64_t rows = std::min(weight.rows, kRowGroup);
      read = std::max(read, rows * weight.row_bytes);
      scratch = std::max(scratch, weight.ScratchBytes(rows));
    }
  }
  uint64_t read = 0, scratch = 0;
};

// Bytes that each model may keep resident: the smallest first. All of it if it has at most half the weights of the
// largest one, for then it is a draft, which is used several times per pass of its target; else at most an even share
// of what is left.
std::vector<uint64_t> ShareAmongModels(std::span<const WeightExtent> weights, uint64_t available) {
  uint32_t models = 0;
  for (const WeightExtent& weight : weights) models = std::max(models, weight.model + 1);
  std::vector<uint64_t> total(models, 0), whole(models, 0);
  for (const WeightExtent& weight : weights) {
    whole[weight.model] += weight.bytes();
    if (!weight.experts) total[weight.model] += AlignUp(weight.ResidentBytes(weight.rows), PageBytes());
  }

  std::vector<uint32_t> order(models);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return whole[a] < whole[b]; });
  std::vector<uint64_t> share(models, 0);
  uint64_t left = models;
  for (uint32_t model : order) {
    const bool draft = whole[model] <= whole[order.back()] / 2;
    share[model] = std::min(total[model], draft ? available : available / left);
    available -= share[model];
    --left;
  }
  return share;
}

// Spreads `share` bytes over one model's weights by error diffusion: each weight of at most `whole_bytes` is
// kept whole or streamed whole, larger ones keep a prefix of whole row groups.
void Spread(std::span<const WeightExtent> weights, uint32_t model, uint64_t share, uint64_t whole_bytes,
            std::vector<uint64_t>& resident_rows) {
  const auto charged = [](const WeightExtent& weight, uint64_t rows) {
    return AlignUp(weight.ResidentBytes(rows), PageBytes());
  };
  uint64_t total = 0;
  for (const WeightExtent& weight : weights) {
    if (weight.model == model && !weight.experts) total += charged(weight, weight.rows);
  }
  if (total == 0) return;
  const double fraction = std::min(1.0, static_cast<double>(share) / static_cast<double>(total));
  double wanted = 0;
  uint64_t given = 0;
  const auto rows_within = [&](const WeightExtent& weight, double bytes) -> uint64_t {
    if (weight.row_bytes == 0 || bytes < static_cast<double>(PageBytes())) return 0;
    if (bytes >= static_cast<double>(charged(weight, weight.rows))) return weight.rows;
    const auto rows = static_cast<uint64_t>((bytes - PageBytes()) / static_cast<double>(weight.ResidentBytes(1)));
    return AlignDown(std::min(rows, weight.rows), kRowGroup);
  };
  for (size_t i = 0; i < weights.size(); ++i) {
    const WeightExtent& weight = weights[i];
    if (weight.model != model || weight.experts) continue;
    wanted += fraction * static_cast<double>(charged(weight, weight.rows));
    const bool atomic = weight.bytes() <= whole_bytes;
    const uint64_t rows = rows_within(weight, fraction >= 1.0 ? 1e30 : wanted - static_cast<double>(given) + 0.5);
    resident_rows[i] = atomic && rows < weight.rows ? 0 : rows;
    given += charged(weight, resident_rows[i]);
  }
  // What rounding left over goes to prefixes, first come first served.
  for (size_t i = 0; i < weights.size() && given < share; ++i) {
    const WeightExtent& weight = weights[i];
    if (weight.model != model || weight.experts || resident_rows[i] == weight.rows) continue;
    const uint64_t before = charged(weight, resident_rows[i]);
    resident_rows[i] = std::max(resident_rows[i], rows_within(weight, static_cast<double>(before + share - given)));
    given += charged(weight, resident_rows[i]) - before;
  }
}

}  // namespace

uint64_t FloorBytes(std::span<const WeightExtent> weights, uint64_t column_bytes) {
  if (weights.empty()) return 0;
  const Widest widest(weights);
  return AlignUp(kRingSegments * SpanBytes(widest.read), PageBytes()) +
         AlignUp(std::max(widest.scratch, column_bytes), PageBytes());
}

uint64_t DriveBufferBytes(uint64_t budget_bytes, uint64_t drives) {
  if (drives <= 1) return 0;
  return AlignUp(std::clamp(budget_bytes / kDriveBufferPart, kLeastDriveBuffer, kMostDriveBuffer), PageBytes());
}

Result<ResidencyPlan> PlanResidency(std::span<const WeightExtent> weights, uint64_t budget_bytes, uint64_t column_bytes,
                                    uint64_t drives) {
  ResidencyPlan plan;
  plan.resident_rows.assign(weights.size(), 0);
  if (weights.empty()) return plan;
  const uint64_t floor = FloorBytes(weights);
  if (budget_bytes < floor) {
    return Status(Code::kOutOfBudget,
                  fmt::format("{} of memory for weights is too little: streaming needs at least {} ({} read-ahead "
                              "segments and one of scratch, each with {} rows of the widest weight, {})",
                              FormatSize(budget_bytes), FormatSize(floor), kRingSegments, kRowGroup,
                              FormatSize(Widest(weights).read)));
  }
  const Widest widest(weights);
  // A small budget is divided in proportion, a large one has all that helps.
  const auto sized = [&](uint64_t part, uint64_t least, uint64_t most) {
    return std::clamp(budget_bytes / part, least, std::max(least, most));
  };
  plan.segment_bytes = sized(64, widest.read, kMaxSegmentBytes);
  plan.scratch_bytes = AlignUp(sized(24, std::max(plan.segment_bytes, widest.scratch), kMaxScratchBytes), PageBytes());
  const uint64_t ring_part = 12 / std::clamp<uint64_t>(drives, 1, kMostRings);
  plan.ring_bytes =
      AlignUp(sized(ring_part, kRingSegments * SpanBytes(plan.segment_bytes), kMaxRingBytes), PageBytes());
  const uint64_t columns = AlignUp(column_bytes, PageBytes());
  if (plan.ring_bytes + std::max(plan.scratch_bytes, columns) >
      budget_bytes) {  // a wide row group in a budget near the floor
    plan.segment_bytes = widest.read;
    plan.scratch_bytes = AlignUp(widest.scratch, PageBytes());
    plan.ring_bytes = AlignUp(kRingSegments * SpanBytes(widest.read), PageBytes());
  }
  plan.scratch_bytes = std::max(plan.scratch_bytes, columns);
  if (plan.ring_bytes + plan.scratch_bytes > budget_bytes) {
    return Status(
        Code::kOutOfBudget,
        fmt::format(
            "{} of memory for weights is too little for this batch: its columns need {} beside {} of read-ahead; "
            "give more, or use smaller batches (--ubatch-size)",
            FormatSize(budget_bytes), FormatSize(columns), FormatSize(plan.ring_bytes)));
  }

  const auto share = ShareAmongModels(weights, budget_bytes - plan.ring_bytes - plan.scratch_bytes);
  for (uint32_t model = 0; model < share.size(); ++model) {
    Spread(weights, model, share[model], plan.scratch_bytes, plan.resident_rows);
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    plan.resident_bytes += AlignUp(weights[i].ResidentBytes(plan.resident_rows[i]), PageBytes());
    if (!weights[i].experts) plan.streamed_bytes += (weights[i].rows - plan.resident_rows[i]) * weights[i].row_bytes;
  }
  const bool any_experts =
      std::any_of(weights.begin(), weights.end(), [](const WeightExtent& weight) { return weight.experts; });
  if (any_experts) plan.expert_cache_bytes = AlignDown(budget_bytes - plan.total_bytes(), PageBytes());
  return plan;
}

}  // namespace headrace
