// Experts in the cache that one product can multiply: those whose slots are elements of one array.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "exec/expert_use.h"
#include "exec/slot_product.h"

namespace headrace {

struct SlotGroup {
  std::vector<size_t> members;  // of use.cached
  SlotArray slots;              // from the first to the last that is used: the kernel's work grows with their number
  std::vector<SlotProduct::Chosen> chosen;  // one for each member
  size_t pairs = 0;                         // of all of them
  std::vector<uint8_t*> unpacked;           // the slices of those that are to be repacked first
};

// The groups of `ready` (indices in use.cached) in a slice: a single one, when an expert is whole pages.
std::vector<SlotGroup> GroupBySlots(const ExpertUse& use, size_t slice, std::span<const size_t> ready);

}  // namespace headrace
