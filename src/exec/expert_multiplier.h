// Multiplies with a layer's experts: those of a narrow batch all at once in the slots of the cache, those of a
// wide one expert by expert, as they lie in the cache or arrive from the ring.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "exec/expert_product.h"
#include "exec/expert_use.h"
#include "exec/kernel_choice.h"
#include "exec/pass.h"
#include "exec/slot_groups.h"

namespace headrace {

// One thread at a time. `scratch` has at least ExpertProduct::ScratchBytes; the methods add to `times`.
class ExpertMultiplier {
 public:
  // `choice` outlives this.
  ExpertMultiplier(const GgmlApi& api, const KernelChoice& choice) : choice_(choice), product_(api), slots_(api) {}

  // The experts that are in memory first, then the others as they arrive. Errors: the read's; CheckProduct's.
  Status MultiplyCached(const Takeover& takeover, std::span<uint8_t> scratch, PassTimes& times);
  // Rows of one chosen expert from the ring.
  ggml_status MultiplyStreamed(const Takeover& takeover, const SegmentRows& segment, const uint8_t* data,
                               std::span<uint8_t> scratch, PassTimes& times);

  ExpertProduct& product() { return product_; }
  uint64_t pack_ns() const { return product_.pack_ns(); }

 private:
  // Whose kernels multiply an expert that these chose: the packed layout, or null for the file's.
  const PackedLayout* LayoutOf(const Takeover& takeover, std::span<const ExpertPair> pairs) const;
  ggml_status MultiplyReady(const Takeover& takeover, std::span<const size_t> ready, std::span<uint8_t> scratch,
                            PassTimes& times);
  ggml_status ConvertCached(const Takeover& takeover, std::span<const size_t> ready, std::span<uint8_t> scratch,
                            PassTimes& times);
  ggml_status MultiplySlots(const Takeover& takeover, const SlotGroup& group, std::span<uint8_t> scratch);
  ggml_status MultiplyPieces(const Takeover& takeover, std::span<const size_t> ready, std::span<uint8_t> scratch,
                             PassTimes& times);

  const KernelChoice& choice_;
  ExpertProduct product_;
  SlotProduct slots_;
};

}  // namespace headrace
