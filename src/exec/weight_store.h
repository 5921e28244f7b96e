// The weights that are multiplied from mapped model files, and what of each is in memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/config.h"
#include "exec/ggml_api.h"
#include "exec/mapping_table.h"
#include "exec/product.h"
#include "memory/budget.h"
#include "memory/region.h"
#include "plan/residency.h"
#include "rows/row_memory.h"

namespace headrace {

struct Weight {
  ggml_tensor tensor{};  // as the graph names it: type, shape, mapped address
  Origin origin;
  Cut cut;
  bool experts = false;  // of MUL_MAT_ID: one matrix for each expert; the expert cache holds them
  bool of_head = false;  // a draft head uses it, which may not be alone: kept resident as a draft model's
  bool uploads = false;  // the engine copies it to a device, where a layout of the processor is of no use
  bool streams = true;   // false: left to the engine's mapping, nothing of it is kept or read
  const PackedLayout* packed = nullptr;  // layout of stock's repacked kernels, null: it has none
  const PackedLayout* layout = nullptr;  // of the resident rows: `packed`, or null, the file's

  // Rows [0, resident_rows) are in `storage`, in `layout`. They grow to target_rows as they pass
  // by in the stream, and shrink at once when the plan takes them back.
  uint64_t resident_rows = 0;
  uint64_t target_rows = 0;
  Reservation reservation;  // pays for target_rows; before the storage it pays for
  Region storage;

  uint64_t bytes() const { return cut.rows * cut.row_bytes; }  // in the file
  // Of a row in a layout (null: the file's), in the one of the resident rows, and in the largest of this weight's.
  uint64_t RowBytes(const PackedLayout* in) const { return in != nullptr ? in->row_bytes : cut.row_bytes; }
  uint64_t resident_row_bytes() const { return RowBytes(layout); }
  uint64_t widest_row_bytes() const { return std::max(cut.row_bytes, RowBytes(packed)); }
  // Where a row is, or will be, in the storage.
  uint8_t* ResidentRow(uint64_t row) const {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(storage.data())) + row * resident_row_bytes();
  }
  // The weight as it is in memory, all of whose rows are resident: for products that the engine computes by itself.
  ggml_tensor Resident(const GgmlApi& api);
};

// One owner at a time (the pass that runs).
class WeightStore {
 public:
  // `layouts` is null when all products use the file's layout. Resident rows are kept packed. A layout that needs more
  // memory than the file's is used with `keep_larger`; else only while all weights are resident in it and none are
  // experts, for what it costs is streamed.
  WeightStore(const GgmlApi& api, PackedLayouts* layouts, bool keep_larger);

  // The weight of a product's src[0], added when it is new. `origin` says where its bytes lie.
  Weight* FindOrAdd(const ggml_tensor& tensor, const Origin& origin, bool experts);
  // From the next Replan on its resident rows lie as in the file.
  void KeepAsInFile(Weight& weight);
  // From the next Replan on it is kept as the weights of a small model beside a large one: before all others.
  void AddToHead(Weight& weight);
  // Forgets the weights in an address range.
  void Remove(const void* address, uint64_t bytes);
  bool Any(const void* address, uint64_t bytes) const;
  bool empty() const { return weights_.empty(); }

  // That are read from at once, before the first plan.
  void SetDrives(uint64_t drives) { drives_ = drives; }
  // What the next Replan may plan with. A plan that needs no more than this stays as it is, unless it could keep more
  // and the limit has grown by a sixteenth.
  void SetLimit(uint64_t bytes);
  // Whether Replan would shrink the present plan.
  bool must_shrink() const { return budget_.limit() < planned_bytes(); }
  // Weights came or went since the last Replan, or SetLimit asked for another plan.
  bool changed() const { return changed_; }
  // The least limit with which the present weights can be planned.
  uint64_t floor_bytes() const;
  uint64_t limit() const { return budget_.limit(); }
  // Decides anew what stays resident when weights came or went since the last time, or the columns of a batch
  // need more scratch (PlanResidency) than any before. Rows whose layout changes are resident no more. Shrinks what
  // must shrink; the plan's ring and scratch are the caller's to allocate, with Charge. Errors: kOutOfBudget.
  Status Replan(uint64_t column_bytes);
  const ResidencyPlan& plan() const { return plan_; }
  // Tables of which rows are looked up: the next Replan leaves memory for them, row_bytes() then, where there is
  // enough.
  void SetTables(std::vector<RowShape> tables);
  uint64_t row_bytes() const { return row_bytes_; }
  // All that the plan and the tables use.
  uint64_t planned_bytes() const { return plan_.total_bytes() + row_bytes_; }
  uint64_t resident_bytes() const;  // in memory: in their layout, which may need more than the file's
  uint64_t weight_bytes() const;
  uint64_t expert_bytes() const;  // of them: experts
  const Weight* Largest() const;

  // Pays for memory beside the resident weights.
  Result<Reservation> Charge(uint64_t bytes, std::string_view what) { return budget_.Reserve(bytes, what); }
  // Pays for the target rows of a weight that is about to be filled and makes room for them.
  Status Commit(Weight& weight);

 private:
  const PackedLayout* LayoutOf(const Weight& weight, bool larger) const;
  std::vector<WeightExtent> Extents(bool larger) const;
  Result<ResidencyPlan> MakePlan(uint64_t column_bytes, uint64_t row_bytes, bool& larger) const;

  const GgmlApi& api_;
  PackedLayouts* layouts_;
  const bool keep_larger_;
  Budget budget_;
  std::list<Weight> weights_;  // in the order of their first use; addresses are stable
  std::unordered_multimap<const void*, Weight*> by_address_;
  ResidencyPlan plan_;
  std::vector<RowShape> tables_;
  uint64_t row_bytes_ = 0;  // for rows of tables, beside the plan
  uint64_t drives_ = 1;
  uint64_t column_bytes_ = 0;  // that the plan has room for
  uint64_t planned_limit_ = 0;
  bool changed_ = false;
};

}  // namespace headrace
