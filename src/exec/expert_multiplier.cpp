#include "exec/expert_multiplier.h"

#include <algorithm>
#include <chrono>

namespace headrace {
namespace {

// Adds the time until it goes to `nanoseconds`.
class Stopwatch {
 public:
  explicit Stopwatch(uint64_t& nanoseconds) : nanoseconds_(nanoseconds) {}
  ~Stopwatch() { nanoseconds_ += static_cast<uint64_t>((std::chrono::steady_clock::now() - start_).count()); }

 private:
  uint64_t& nanoseconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Status ExpertMultiplier::MultiplyCached(const Takeover& takeover, std::span<uint8_t> scratch, PassTimes& times) {
  return AsTheyArrive(takeover.experts->cached, takeover.slice, times.wait_ns,
                      [&](std::span<const size_t> ready, bool) {
                        const Stopwatch computed(times.kernel_ns);
                        return CheckProduct(MultiplyReady(takeover, ready, scratch, times), *takeover.weight);
                      });
}

ggml_status ExpertMultiplier::MultiplyReady(const Takeover& takeover, std::span<const size_t> ready,
                                            std::span<uint8_t> scratch, PassTimes& times) {
  const ExpertUse& use = *takeover.experts;
  if (choice_.LayoutInCache(takeover.weight->tensor.type, takeover.weight->packed) != nullptr) {
    const ggml_status status = ConvertCached(takeover, ready, scratch, times);
    if (status != GGML_STATUS_SUCCESS) return status;
  }
  if (use.way != ExpertUse::Way::kCached) return MultiplyPieces(takeover, ready, scratch, times);
  for (const SlotGroup& group : GroupBySlots(use, takeover.slice, ready)) {
    const bool fits = group.slots.count <= SlotProduct::kMostSlots &&
                      SlotProduct::ScratchBytes(*takeover.node, group.pairs) <= scratch.size();
    const ggml_status status =
        fits ? MultiplySlots(takeover, group, scratch) : MultiplyPieces(takeover, group.members, scratch, times);
    if (status != GGML_STATUS_SUCCESS) return status;
  }
  return GGML_STATUS_SUCCESS;
}

ggml_status ExpertMultiplier::ConvertCached(const Takeover& takeover, std::span<const size_t> ready,
                                            std::span<uint8_t> scratch, PassTimes& times) {
  ExpertCache::Pins& cached = takeover.experts->cached;
  const Weight& weight = *takeover.weight;
  for (const size_t i : ready) {
    if (cached.converted(i, takeover.slice)) continue;
    const ggml_status status = product_.PackInPlace(takeover.backend, weight.tensor, cached.Convert(i, takeover.slice),
                                                    weight.packed, scratch);
    times.packed_bytes += weight.tensor.nb[2];
    if (status == GGML_STATUS_SUCCESS) continue;
    cached.Spoil(i);
    return status;
  }
  return GGML_STATUS_SUCCESS;
}

ggml_status ExpertMultiplier::MultiplySlots(const Takeover& takeover, const SlotGroup& group,
                                            std::span<uint8_t> scratch) {
  const PackedLayout* layout = choice_.LayoutInCache(takeover.weight->tensor.type, takeover.weight->packed);
  const SlotProduct::Rows all{0, static_cast<uint64_t>(takeover.weight->tensor.ne[1])};
  return slots_.Multiply(takeover.backend, *takeover.node, group.slots, layout, group.chosen, all, scratch);
}

const PackedLayout* ExpertMultiplier::LayoutOf(const Takeover& takeover, std::span<const ExpertPair> pairs) const {
  const Weight& weight = *takeover.weight;
  const bool pack =
      choice_.PackExpert(weight.tensor.type, takeover.experts->tokens, static_cast<int64_t>(pairs.size()));
  return pack ? weight.packed : nullptr;
}

ggml_status ExpertMultiplier::MultiplyPieces(const Takeover& takeover, std::span<const size_t> ready,
                                             std::span<uint8_t> scratch, PassTimes& times) {
  const ExpertUse& use = *takeover.experts;
  const auto rows = static_cast<uint64_t>(takeover.weight->tensor.ne[1]);
  std::vector<ExpertRows> work;
  for (const size_t i : ready) {
    const bool packed = use.cached.converted(i, takeover.slice);
    const auto pairs = use.choice.pairs(use.cached.expert(i));
    const PackedLayout* layout = LayoutOf(takeover, pairs);
    work.push_back({0, rows, use.cached.data(i, takeover.slice), pairs, layout, packed});
    if (layout != nullptr && !packed) times.packed_bytes += takeover.weight->tensor.nb[2];
  }
  return product_.Multiply(takeover.backend, *takeover.node, work, scratch);
}

ggml_status ExpertMultiplier::MultiplyStreamed(const Takeover& takeover, const SegmentRows& segment,
                                               const uint8_t* data, std::span<uint8_t> scratch, PassTimes& times) {
  const ExpertUse& use = *takeover.experts;
  const auto matrix = static_cast<uint64_t>(takeover.weight->tensor.ne[1]);
  const auto expert = static_cast<uint32_t>(segment.first_row / matrix);
  const uint64_t first_row = segment.first_row % matrix, row_bytes = takeover.weight->cut.row_bytes;
  const auto pairs = use.choice.pairs(expert);
  const PackedLayout* layout = LayoutOf(takeover, pairs);
  const ExpertRows work{first_row, segment.rows, data, pairs, layout, false};
  if (layout != nullptr) times.packed_bytes += segment.rows * row_bytes;
  const Stopwatch computed(times.kernel_ns);
  return product_.Multiply(takeover.backend, *takeover.node, {&work, 1}, scratch);
}

}  // namespace headrace
