// The product of a narrow batch with experts in the slots of the cache: one MUL_MAT_ID node, whose weight is
// all slots of one size and whose ids are slots instead of experts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "exec/column_copy.h"
#include "exec/ggml_api.h"
#include "exec/packed_layout.h"
#include "exec/router_choice.h"
#include "experts/expert_cache.h"

namespace headrace {

// Multiplies with a CPU backend. One thread at a time.
class SlotProduct {
 public:
  struct Chosen {
    uint32_t slot = 0;  // in the SlotArray
    std::span<const ExpertPair> pairs;
  };

  explicit SlotProduct(const GgmlApi& api);
  ~SlotProduct();
  SlotProduct(const SlotProduct&) = delete;
  SlotProduct& operator=(const SlotProduct&) = delete;

  // The engine's kernel clears memory for each matrix of the weight: with more slots, single products are faster.
  static constexpr uint32_t kMostSlots = 4096;
  // Scratch for a product of so many pairs; none when they are all pairs of the node.
  static uint64_t ScratchBytes(const ggml_tensor& node, size_t pairs);

  // Rows [first, first + count) of each expert's matrix.
  struct Rows {
    uint64_t first = 0;
    uint64_t count = 0;
  };

  // Computes the products of those rows into their place in node.data. The slots' rows are in the layout `layout`
  // (null: the file's). `scratch` has ScratchBytes.
  ggml_status Multiply(ggml_backend_t backend, const ggml_tensor& node, const SlotArray& slots,
                       const PackedLayout* layout, std::span<const Chosen> chosen, Rows rows,
                       std::span<uint8_t> scratch);

 private:
  const GgmlApi& api_;
  ggml_context* context_;
  ggml_cgraph* graph_;
  ColumnCopy gather_, scatter_;
  ggml_tensor weight_, columns_, ids_, product_;
  std::vector<int32_t> slot_ids_;
  std::vector<ExpertPair> pairs_;
};

}  // namespace headrace
