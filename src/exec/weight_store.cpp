#include "exec/weight_store.h"

#include <algorithm>
#include <cstring>

#include "base/size.h"

namespace headrace {

ggml_tensor Weight::Resident(const GgmlApi& api) {
  if (layout != nullptr) return TileOf(api, tensor, tensor.ne[1], storage.data(), layout);
  ggml_tensor resident = tensor;
  resident.data = storage.data();
  resident.view_src = nullptr;
  resident.view_offs = 0;
  return resident;
}

WeightStore::WeightStore(const GgmlApi& api, PackedLayouts* layouts, bool keep_larger)
    : api_(api), layouts_(layouts), keep_larger_(keep_larger), budget_(0) {}

Weight* WeightStore::FindOrAdd(const ggml_tensor& tensor, const Origin& origin, bool experts) {
  const auto [begin, end] = by_address_.equal_range(tensor.data);
  for (auto it = begin; it != end; ++it) {
    const ggml_tensor& known = it->second->tensor;
    if (known.type == tensor.type && it->second->experts == experts &&
        std::memcmp(known.ne, tensor.ne, sizeof known.ne) == 0 &&
        std::memcmp(known.nb, tensor.nb, sizeof known.nb) == 0) {
      return it->second;
    }
  }
  Weight& weight = weights_.emplace_back();
  weight.tensor = tensor;
  weight.origin = origin;
  weight.cut = CutOf(api_, tensor);
  weight.experts = experts;
  if (layouts_ != nullptr && weight.cut.by_rows) weight.packed = layouts_->Choose(tensor, experts);
  by_address_.emplace(tensor.data, &weight);
  changed_ = true;
  return &weight;
}

void WeightStore::KeepAsInFile(Weight& weight) {
  if (weight.uploads) return;
  weight.uploads = true;
  changed_ = changed_ || weight.layout != nullptr || weight.packed != nullptr;
}

void WeightStore::AddToHead(Weight& weight) {
  changed_ = changed_ || !weight.of_head;
  weight.of_head = true;
}

bool WeightStore::Any(const void* address, uint64_t bytes) const {
  return std::any_of(weights_.begin(), weights_.end(),
                     [&](const Weight& weight) { return LiesIn(weight.tensor, address, bytes); });
}

void WeightStore::Remove(const void* address, uint64_t bytes) {
  for (auto it = weights_.begin(); it != weights_.end();) {
    if (!LiesIn(it->tensor, address, bytes)) {
      ++it;
      continue;
    }
    const auto [first, last] = by_address_.equal_range(it->tensor.data);
    for (auto entry = first; entry != last; ++entry) {
      if (entry->second == &*it) {
        by_address_.erase(entry);
        break;
      }
    }
    it = weights_.erase(it);
    changed_ = true;
  }
}

void WeightStore::SetLimit(uint64_t bytes) {
  budget_.SetLimit(bytes);
  const bool wants_more = plan_.streamed_bytes > 0 || plan_.expert_cache_bytes > 0;
  const bool grown = bytes > planned_limit_ && bytes - planned_limit_ >= planned_limit_ / 16;
  changed_ = changed_ || must_shrink() || (wants_more && grown);
}

// Of resident rows; `larger`: also one that needs more memory than the file's.
const PackedLayout* WeightStore::LayoutOf(const Weight& weight, bool larger) const {
  if (weight.uploads) return nullptr;
  return larger || weight.RowBytes(weight.packed) <= weight.cut.row_bytes ? weight.packed : nullptr;
}

std::vector<WeightExtent> WeightStore::Extents(bool larger) const {
  std::vector<WeightExtent> extents;
  extents.reserve(weights_.size());
  // The planner numbers models from 0 without gaps. A draft head is one of its own.
  std::unordered_map<uint64_t, uint32_t> models;
  for (const Weight& weight : weights_) {
    const uint64_t number = 2 * uint64_t{weight.origin.model} + (weight.of_head ? 1 : 0);
    const auto model = models.emplace(number, static_cast<uint32_t>(models.size())).first->second;
    extents.push_back({weight.streams ? weight.cut.rows : 0, weight.cut.row_bytes, model, weight.experts,
                       weight.RowBytes(LayoutOf(weight, larger)), weight.widest_row_bytes()});
  }
  return extents;
}

void WeightStore::SetTables(std::vector<RowShape> tables) {
  if (tables == tables_) return;
  tables_ = std::move(tables);
  changed_ = true;
}

uint64_t WeightStore::floor_bytes() const { return FloorBytes(Extents(keep_larger_), column_bytes_); }

Result<ResidencyPlan> WeightStore::MakePlan(uint64_t column_bytes, uint64_t row_bytes, bool& larger) const {
  const uint64_t limit = budget_.limit() - row_bytes;
  larger = std::any_of(weights_.begin(), weights_.end(),
                       [this](const Weight& weight) { return LayoutOf(weight, true) != LayoutOf(weight, false); });
  auto plan = PlanResidency(Extents(larger), limit, column_bytes, drives_);
  if (!larger || keep_larger_) return plan;
  const bool experts =
      std::any_of(weights_.begin(), weights_.end(), [](const Weight& weight) { return weight.experts; });
  if (plan.ok() && plan->streamed_bytes == 0 && !experts) return plan;
  larger = false;
  return PlanResidency(Extents(larger), limit, column_bytes, drives_);
}

Status WeightStore::Replan(uint64_t column_bytes) {
  if (!changed_ && column_bytes <= column_bytes_) return {};
  const uint64_t columns = std::max(column_bytes, column_bytes_);
  const uint64_t row_bytes = RowMemoryBytes(tables_, budget_.limit(), FloorBytes(Extents(keep_larger_), columns));
  bool larger = false;
  auto plan = MakePlan(columns, row_bytes, larger);
  if (!plan.ok()) return plan.status();
  row_bytes_ = row_bytes;
  column_bytes_ = columns;
  planned_limit_ = budget_.limit();
  plan_ = std::move(*plan);
  size_t i = 0;
  for (Weight& weight : weights_) {
    weight.target_rows = plan_.resident_rows[i++];
    if (const PackedLayout* const layout = LayoutOf(weight, larger); layout != weight.layout) {
      weight.layout = layout;
      weight.resident_rows = 0;
      weight.storage = {};
      weight.reservation.Release();
    }
    if (weight.resident_rows > weight.target_rows) {
      weight.resident_rows = weight.target_rows;
      weight.storage.Decommit(weight.target_rows * weight.resident_row_bytes(), weight.storage.bytes());
    }
    const uint64_t paid = AlignUp(weight.target_rows * weight.resident_row_bytes(), PageBytes());
    if (weight.reservation.bytes() > paid) {
      HEADRACE_RETURN_IF_ERROR(weight.reservation.Shrink(weight.reservation.bytes() - paid));
    }
  }
  changed_ = false;
  return {};
}

Status WeightStore::Commit(Weight& weight) {
  const uint64_t price = AlignUp(weight.target_rows * weight.resident_row_bytes(), PageBytes());
  if (weight.reservation.bytes() == 0) {
    auto reservation = budget_.Reserve(price, "resident weights");
    if (!reservation.ok()) return reservation.status();
    weight.reservation = std::move(*reservation);
  } else if (weight.reservation.bytes() < price) {
    HEADRACE_RETURN_IF_ERROR(weight.reservation.Grow(price - weight.reservation.bytes()));
  }
  if (weight.storage.bytes() == 0) {
    auto storage = Region::Reserve(AlignUp(weight.cut.rows * weight.resident_row_bytes(), PageBytes()));
    if (!storage.ok()) return storage.status();
    weight.storage = std::move(*storage);
  }
  return weight.storage.Commit(0, weight.target_rows * weight.resident_row_bytes());
}

uint64_t WeightStore::resident_bytes() const {
  uint64_t bytes = 0;
  for (const Weight& weight : weights_) bytes += weight.resident_rows * weight.resident_row_bytes();
  return bytes;
}

uint64_t WeightStore::weight_bytes() const {
  uint64_t bytes = 0;
  for (const Weight& weight : weights_) bytes += weight.bytes();
  return bytes;
}

uint64_t WeightStore::expert_bytes() const {
  uint64_t bytes = 0;
  for (const Weight& weight : weights_) bytes += weight.experts ? weight.bytes() : 0;
  return bytes;
}

const Weight* WeightStore::Largest() const {
  const Weight* largest = nullptr;
  for (const Weight& weight : weights_) {
    if (largest == nullptr || weight.origin.file->size() > largest->origin.file->size()) largest = &weight;
  }
  return largest;
}

}  // namespace headrace
