#include "exec/expert_store.h"

#include <algorithm>

#include "base/size.h"

namespace headrace {

uint32_t ExpertStore::FindOrAdd(const std::vector<const Weight*>& weights) {
  ExpertLayout layout;
  layout.experts = static_cast<uint32_t>(weights.front()->tensor.ne[2]);
  for (const Weight* weight : weights) {
    layout.slices.push_back({weight->origin.file.get(), weight->origin.offset, weight->bytes() / layout.experts});
  }
  const auto known = std::find(layers_.begin(), layers_.end(), layout);
  if (known != layers_.end()) return static_cast<uint32_t>(known - layers_.begin());
  layers_.push_back(std::move(layout));
  changed_ = true;
  return static_cast<uint32_t>(layers_.size() - 1);
}

Status ExpertStore::EnsureCache(WeightStore& weights, uint64_t bytes, const OpenReaderFunction& open_reader) {
  if (!changed_ && bytes == granted_bytes_) {
    if (cache_ != nullptr) keeper_.SaveRarely(*cache_);
    return {};
  }
  if (cache_ != nullptr) keeper_.Take(*cache_);
  cache_.reset();
  reservation_.Release();
  changed_ = false;
  granted_bytes_ = bytes;
  uint64_t all = 0, largest = 0;
  for (const ExpertLayout& layer : layers_) {
    all += layer.SlotBytes() * layer.experts;
    largest = std::max(largest, layer.SlotBytes());
  }
  const uint64_t arena = AlignDown(std::min(bytes, all), kPageBytes);
  if (arena < largest || arena == 0) return {};
  auto reservation = weights.Charge(arena, "experts");
  if (!reservation.ok()) return reservation.status();
  auto reader = open_reader(ExpertCache::kDepth);
  if (!reader.ok()) return reader.status();
  auto cache = ExpertCache::Start(std::move(*reader), layers_, arena);
  if (!cache.ok()) return cache.status();
  reservation_ = std::move(*reservation);
  cache_ = std::move(*cache);
  keeper_.Give(*cache_);
  return {};
}

void ExpertStore::Save() noexcept {
  if (cache_ != nullptr) keeper_.Save(*cache_);
}

void ExpertStore::Clear() {
  Save();
  keeper_.Forget();
  cache_.reset();
  reservation_.Release();
  layers_.clear();
  changed_ = false;
  granted_bytes_ = 0;
}

}  // namespace headrace
