// Which kernels multiply streamed weights: repacked ones cost a conversion of each tile, plain ones are several times
// slower for wide batches. What is cheaper depends on the type of the weights, the processor and the number of columns,
// so it is measured.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/config.h"
#include "exec/ggml_api.h"
#include "exec/kernel_costs.h"
#include "telemetry/snapshot.h"

namespace headrace {

struct PackedLayout;

// One owner.
class KernelChoice {
 public:
  explicit KernelChoice(Kernels kernels) : kernels_(kernels) {}

  // Whether the choice for this type depends on what its kernels cost, and they were not measured yet.
  bool NeedsCosts(ggml_type type, bool experts) const {
    return kernels_ == Kernels::kAuto && !pays_from_.contains({type, experts});
  }
  // They were, or could not be (null). Decides once: the same input gives the same bits from then on. Returns the
  // fewest columns for which streamed rows are repacked from now on.
  int64_t Learn(ggml_type type, bool experts, const std::optional<KernelCosts>& costs) {
    if (experts && costs) most_repacked_.try_emplace(type, costs->MostRepacked());
    return pays_from_.try_emplace({type, experts}, costs ? costs->PaysFrom() : kUsual).first->second;
  }

  // True when streamed rows of a weight that has a packed layout are to be repacked for a product with that many
  // columns. The processor's time decides, also where it hides behind the disk's: it is somebody's, and the disk's
  // reads need some of it.
  bool PackStreamed(ggml_type type, int64_t columns) const { return Packs(type, false, columns); }

  // The same for an expert that `columns` of the batch's tokens chose. Where the cache does not hold repacked ones,
  // narrow batches use plain kernels wherever their experts come from: cache, ring or reads of their own.
  static constexpr int64_t kWideTokens = 8;
  bool PackExpert(ggml_type type, int64_t tokens, int64_t columns) const {
    return CachePackedExperts(type) || (tokens >= kWideTokens && Packs(type, true, columns));
  }

  // Whether the cache holds experts repacked, so that all products with experts of this type use packed kernels.
  bool CachePackedExperts(ggml_type type) const {
    if (kernels_ != Kernels::kAuto) return kernels_ == Kernels::kRepack;
    const auto cached = cache_packed_.find(type);
    return cached != cache_packed_.end() && cached->second;
  }
  // The layout in which it holds them, of experts whose packed one is `packed` (null: none). Null: the file's.
  const PackedLayout* LayoutInCache(ggml_type type, const PackedLayout* packed) const {
    return CachePackedExperts(type) ? packed : nullptr;
  }
  // DecideCache has nothing to decide.
  bool CacheDecided() const { return cache_packed_.size() == most_repacked_.size(); }
  // Decides that, once for each type whose costs are known: where packed kernels save a token more time than repacking
  // the experts takes that it does not find in the cache, `misses` of them (0 to 1).
  void DecideCache(double misses) {
    for (const auto& [type, most] : most_repacked_) cache_packed_.try_emplace(type, misses < most);
  }

  // The bits of plain products of several columns depend on how the engine's threads divide the rows (ThreadShares).
  void DivideByShares(ggml_type type) { by_shares_.insert(type); }
  bool DividesByShares(ggml_type type, int64_t columns) const { return columns > 1 && by_shares_.contains(type); }

  // The kernels of streamed weights in a pass of one token.
  Snapshot::KernelChoice ForDecode() const;

 private:
  static constexpr int64_t kUsual = 8;  // of Q4_0 on processors with 256-bit vectors and more

  bool Packs(ggml_type type, bool experts, int64_t columns) const {
    if (kernels_ != Kernels::kAuto) return kernels_ == Kernels::kRepack;
    const auto pays_from = pays_from_.find({type, experts});
    return pays_from != pays_from_.end() && columns >= pays_from->second;
  }

  Kernels kernels_;
  std::map<std::pair<ggml_type, bool>, int64_t> pays_from_;  // by type, and whether of experts
  std::map<ggml_type, double> most_repacked_;                // KernelCosts::MostRepacked of experts
  std::map<ggml_type, bool> cache_packed_;                   // decided for experts
  std::set<ggml_type> by_shares_;
};

}  // namespace headrace
