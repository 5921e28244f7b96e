// The expert layers that graphs have shown, and the cache that holds their experts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "exec/heat_keeper.h"
#include "exec/weight_store.h"
#include "experts/expert_cache.h"

namespace headrace {

// One owner at a time (the pass that runs).
class ExpertStore {
 public:
  // `directory`: where it is kept which experts were popular (HeatKeeper).
  explicit ExpertStore(std::optional<std::string> directory) : keeper_(std::move(directory)) {}

  // The number of the layer whose experts these weights hold, in the order of their use; added when it is new. A token
  // chooses `per_token` of them.
  uint32_t FindOrAdd(const std::vector<const Weight*>& weights, uint32_t per_token);
  // A cache for all layers in at most `bytes` of the store's budget: the present one when nothing changed. A new
  // one reads ahead what the last one, or an earlier run, used most; one of another size keeps its hottest experts. No
  // pins may be left. `reads` and `headroom` outlive the store.
  Status EnsureCache(WeightStore& weights, uint64_t bytes, ReadService& reads, Headroom& headroom);
  // Null when there are no experts, or too little memory for any.
  ExpertCache* cache() const { return cache_.get(); }
  // What the cache may use, 0 without one.
  uint64_t cache_bytes() const { return reservation_.bytes(); }
  // The share of a token's experts that are to be expected outside it (ExpertDemand).
  double ExpectedMisses() const;
  // Of all caches so far.
  uint64_t bytes_read() const;
  // Keeps what was learned for the next run.
  void Save() noexcept;
  // Saves, and forgets all layers, before the files of one go. No pins may be left.
  void Clear();

 private:
  Status Resize(uint64_t arena);
  void Drop();

  std::vector<ExpertLayout> layers_;
  HeatKeeper keeper_;
  bool changed_ = false;
  uint64_t granted_bytes_ = 0;
  uint64_t bytes_read_ = 0;  // by caches that are gone
  Reservation reservation_;  // before the cache that it pays for
  std::unique_ptr<ExpertCache> cache_;
};

}  // namespace headrace
