// The expert layers that graphs have shown, and the cache that holds their experts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "exec/weight_store.h"
#include "experts/expert_cache.h"

namespace headrace {

// One owner at a time (the pass that runs).
class ExpertStore {
 public:
  using OpenReaderFunction = std::function<Result<std::unique_ptr<Reader>>(unsigned depth)>;

  // The number of the layer whose experts these weights hold, in the order of their use; added when it is new.
  uint32_t FindOrAdd(const std::vector<const Weight*>& weights);
  // A cache for all layers in at most `bytes` of the store's budget: the present one when nothing changed.
  Status EnsureCache(WeightStore& weights, uint64_t bytes, const OpenReaderFunction& open_reader);
  // Null when there are no experts, or too little memory for any.
  ExpertCache* cache() const { return cache_.get(); }
  // What the cache may use, 0 without one.
  uint64_t cache_bytes() const { return reservation_.bytes(); }
  // Forgets all layers, before the files of one go. No pins may be left.
  void Clear();

 private:
  std::vector<ExpertLayout> layers_;
  bool changed_ = false;
  uint64_t granted_bytes_ = 0;
  Reservation reservation_;            // before the cache that it pays for
  std::unique_ptr<ExpertCache> cache_;
};

}  // namespace headrace
