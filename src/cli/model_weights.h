// Which tensors of a model flash weight streaming manages, as the planner wants them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/config.h"
#include "gguf/catalogue.h"
#include "plan/residency.h"

namespace headrace::cli {

struct ModelWeights {
  std::vector<WeightExtent> extents;   // matrices multiplied once per pass and experts, in file order, output last
  uint64_t managed_bytes = 0;          // of the extents that are not experts
  uint64_t expert_bytes = 0;           // of those that are
  uint64_t active_expert_bytes = 0;    // of the experts that one token uses
  uint64_t other_bytes = 0;            // embeddings (rows are looked up), norms, biases: left to the mapping
  double active_parameters = 0;        // multiplied per token, chosen experts included
  std::string widest;                  // name of the weight that decides the smallest budget
  uint64_t widest_group_bytes = 0;     // of one row group of it
};

// A model without output.weight multiplies with its token embedding, which is then managed too.
ModelWeights SelectWeights(const Catalogue& catalogue);

// Whether the library will stream this model: mode on, or auto and the weights larger than the budget.
bool WillStream(FlashMode mode, const Catalogue& catalogue, uint64_t budget_bytes);

// kOutOfBudget with the arithmetic and what to do, when `budget_bytes` cannot stream these weights.
Status CheckBudget(const ModelWeights& weights, uint64_t budget_bytes);

}  // namespace headrace::cli
