#include "exec/expert_store.h"

#include <algorithm>

#include "base/size.h"
#include "plan/expert_demand.h"

namespace headrace {

uint32_t ExpertStore::FindOrAdd(const std::vector<const Weight*>& weights, uint32_t per_token) {
  ExpertLayout layout;
  layout.experts = static_cast<uint32_t>(weights.front()->tensor.ne[2]);
  layout.per_token = per_token;
  for (const Weight* weight : weights) {
    layout.slices.push_back({weight->origin.file.get(), weight->origin.offset, weight->bytes() / layout.experts});
  }
  const auto known = std::find_if(layers_.begin(), layers_.end(),
                                  [&](const ExpertLayout& layer) { return layer.slices == layout.slices; });
  if (known != layers_.end()) return static_cast<uint32_t>(known - layers_.begin());
  layers_.push_back(std::move(layout));
  changed_ = true;
  return static_cast<uint32_t>(layers_.size() - 1);
}

Status ExpertStore::EnsureCache(WeightStore& weights, uint64_t bytes, ReadService& reads, Headroom& headroom) {
  if (!changed_ && bytes == granted_bytes_) {
    if (cache_ != nullptr) keeper_.SaveRarely(*cache_);
    return {};
  }
  uint64_t all = 0, largest = 0;
  for (const ExpertLayout& layer : layers_) {
    all += layer.SlotBytes() * layer.experts;
    largest = std::max(largest, layer.SlotBytes());
  }
  uint64_t arena = AlignDown(std::min(bytes, all), PageBytes());
  if (arena < largest) arena = 0;
  if (cache_ != nullptr && !changed_ && arena > 0) {
    granted_bytes_ = bytes;
    return Resize(arena);
  }
  if (cache_ != nullptr) keeper_.Take(*cache_);
  Drop();
  changed_ = false;
  granted_bytes_ = bytes;
  if (arena == 0) return {};
  auto reservation = weights.Charge(arena, "experts");
  if (!reservation.ok()) return reservation.status();
  auto cache = ExpertCache::Start(reads, layers_, arena, &headroom);
  if (!cache.ok()) return cache.status();
  reservation_ = std::move(*reservation);
  cache_ = std::move(*cache);
  keeper_.Give(*cache_);
  return {};
}

void ExpertStore::Drop() {
  bytes_read_ = bytes_read();
  cache_.reset();
  reservation_.Release();
}

// Charged before it grows, given back after it has shrunk.
Status ExpertStore::Resize(uint64_t arena) {
  const uint64_t before = reservation_.bytes();
  if (arena > before) HEADRACE_RETURN_IF_ERROR(reservation_.Grow(arena - before));
  const Status resized = cache_->Resize(arena);
  const uint64_t after = resized.ok() ? arena : before;
  return reservation_.bytes() > after ? reservation_.Shrink(reservation_.bytes() - after) : resized;
}

double ExpertStore::ExpectedMisses() const {
  uint64_t all = 0, of_token = 0;
  for (const ExpertLayout& layer : layers_) {
    all += layer.SlotBytes() * layer.experts;
    of_token += layer.SlotBytes() * std::min(layer.experts, layer.per_token);
  }
  if (of_token == 0) return 0;
  return ExpertDemand(all, of_token).AbsentBytes({}, static_cast<double>(cache_bytes())) /
         static_cast<double>(of_token);
}

uint64_t ExpertStore::bytes_read() const { return bytes_read_ + (cache_ != nullptr ? cache_->bytes_read() : 0); }

void ExpertStore::Save() noexcept {
  if (cache_ != nullptr) keeper_.Save(*cache_);
}

void ExpertStore::Clear() {
  Save();
  keeper_.Forget();
  Drop();
  layers_.clear();
  changed_ = false;
  granted_bytes_ = 0;
}

}  // namespace headrace
