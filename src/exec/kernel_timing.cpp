#include "exec/kernel_timing.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <vector>

#include "base/size.h"
#include "exec/trial_product.h"
#include "plan/residency.h"

namespace headrace {
namespace {

// As much as a core's own cache holds: streamed rows come from there too.
constexpr uint64_t kTileBytes = kMiB;
constexpr uint64_t kRealRows = 3 * kRowGroup;
// Each product runs so often, the fastest counts; after so long, only as often as it must.
constexpr int kRuns = 4, kFewestRuns = 2;
constexpr double kLongSeconds = 0.02;
// Then other programs have the processor, and nothing can be measured.
constexpr double kTooLongSeconds = 0.05;

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Rows of a weight, repeated, in both layouts.
struct Tile {
  Tile(const GgmlApi& api, const Weight& weight) : row_bytes(weight.tensor.nb[1]) {
    const uint64_t real = std::min(kRealRows, static_cast<uint64_t>(weight.tensor.ne[1]));
    rows = std::max(kRowGroup, AlignDown(kTileBytes / row_bytes, kRowGroup));
    memory.resize(bytes() + rows * weight.packed->row_bytes + kReadAlignment);
    plain = memory.data() + (kReadAlignment - reinterpret_cast<uintptr_t>(memory.data()) % kReadAlignment);
    packed = plain + bytes();
    for (uint64_t row = 0; row < rows; row += real) {
      std::memcpy(plain + row * row_bytes, weight.tensor.data, std::min(real, rows - row) * row_bytes);
    }
    PackRows(api, weight.tensor, static_cast<int64_t>(rows), plain, packed, *weight.packed);
  }
  uint64_t bytes() const { return rows * row_bytes; }

  uint64_t row_bytes = 0, rows = 0;
  std::vector<uint8_t> memory;
  uint8_t *plain = nullptr, *packed = nullptr;
};

// The time of products with a tile, all together within kTooLongSeconds.
class Timing {
 public:
  explicit Timing(const Tile& tile) : tile_(tile) {}

  bool too_long() const { return Since(begin_) > kTooLongSeconds; }
  // In seconds for each byte.
  template <typename Run>
  double Of(const Run& run) {
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kRuns && !too_long() && (i < kFewestRuns || Since(begin_) < kLongSeconds); ++i) {
      const auto start = Clock::now();
      run();
      best = std::min(best, Since(start));
    }
    return best / static_cast<double>(tile_.bytes());
  }

 private:
  const Tile& tile_;
  const Clock::time_point begin_ = Clock::now();
};

}  // namespace

std::optional<KernelCosts> MeasureKernels(const GgmlApi& api, Product& product, ggml_backend_t backend,
                                          const Weight& weight) {
  Tile tile(api, weight);
  Timing timing(tile);
  KernelCosts costs;
  const auto measure = [&](int64_t columns, uint8_t* data, const PackedLayout* layout) {
    TrialProduct trial(api, TileOf(api, weight.tensor, static_cast<int64_t>(tile.rows), data, nullptr), columns);
    return timing.Of([&] { product.Multiply(backend, trial.node, 0, tile.rows, data, layout, nullptr); });
  };
  for (size_t i = 0; i < KernelCosts::kColumns.size(); ++i) {
    costs.plain[i] = measure(KernelCosts::kColumns[i], tile.plain, nullptr);
    costs.packed[i] = measure(KernelCosts::kColumns[i], tile.packed, weight.packed);
  }
  costs.pack = timing.Of([&] {
    product.MoveRows(backend, weight.tensor, tile.rows, weight.packed, {tile.plain, tile.packed});
  });
  return timing.too_long() ? std::nullopt : std::optional(costs);
}

std::optional<KernelCosts> MeasureExpertKernels(const GgmlApi& api, ExpertProduct& product, ggml_backend_t backend,
                                                const Weight& weight) {
  Tile tile(api, weight);
  Timing timing(tile);
  KernelCosts costs;
  const auto measure = [&](int64_t columns, const uint8_t* data, const PackedLayout* layout, bool packed) {
    TrialExperts trial(api, TileOf(api, weight.tensor, static_cast<int64_t>(tile.rows), tile.plain, nullptr), columns);
    const auto choice = RouterChoice::Read(trial.ids, 1);
    const ExpertRows work{0, tile.rows, data, choice->pairs(0), layout, packed};
    std::vector<uint8_t> scratch(ExpertProduct::ScratchBytes(trial.node, columns) + tile.bytes() +
                                 trial.result.size() * sizeof(float));
    return timing.Of([&] { product.Multiply(backend, trial.node, {&work, 1}, scratch); });
  };
  for (size_t i = 0; i < KernelCosts::kColumns.size(); ++i) {
    costs.plain[i] = measure(KernelCosts::kColumns[i], tile.plain, nullptr, false);
    costs.packed[i] = measure(KernelCosts::kColumns[i], tile.packed, weight.packed, true);
  }
  costs.pack = std::max(0.0, measure(1, tile.plain, weight.packed, false) - costs.packed[0]);
  return timing.too_long() ? std::nullopt : std::optional(costs);
}

}  // namespace headrace
