// Which tensors of a model flash weight streaming manages, as the planner wants them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gguf/catalogue.h"
#include "plan/residency.h"
#include "rows/row_memory.h"
#include "setup/device_weights.h"

namespace headrace::cli {

struct ModelWeights {
  std::vector<WeightExtent> extents;  // matrices multiplied once per pass and experts, in file order, output last
  uint64_t managed_bytes = 0;         // of the extents that are not experts
  uint64_t expert_bytes = 0;          // of those that are
  uint64_t active_expert_bytes = 0;   // of the experts that one token uses
  uint64_t other_bytes = 0;           // embeddings (rows are looked up), norms, biases: left to the mapping
  std::vector<RowShape> tables;       // of them: tables of which rows are looked up
  uint64_t device_bytes = 0;          // on devices: in none of the others. Read from the files once, while they load
  uint64_t head_bytes = 0;  // of a draft head's blocks: among the others where it is used, else in none of them
  bool uses_head = false;
  uint64_t head_kept_bytes =
      0;  // that stay in memory for it: of its blocks, without experts, and the output that it multiplies with
  uint64_t head_token_bytes = 0;    // multiplied for each token that it drafts
  uint64_t head_expert_bytes = 0;   // of them: experts
  uint64_t token_column_bytes = 0;  // scratch for a token's column of one expert, 0 without experts
  uint64_t batch_tokens = 512;      // of the widest batch: llama.cpp's default --ubatch-size
  double active_parameters = 0;     // multiplied per token, chosen experts included
  std::string widest;               // name of the weight that decides the smallest budget
  uint64_t widest_group_bytes = 0;  // of one row group of it

  uint64_t column_bytes() const { return token_column_bytes * batch_tokens; }
  // What the library keeps of `budget_bytes` for weights for rows of tables.
  uint64_t row_bytes(uint64_t budget_bytes) const { return RowMemoryBytes(tables, budget_bytes, floor_bytes()); }
  // The smallest memory for weights that works.
  uint64_t floor_bytes() const { return FloorBytes(extents, column_bytes()); }
};

// A model without output.weight multiplies with its token embedding, which is then managed too. What is `on_device` is
// not. With `uses_head` the model drafts with its own head, which the plan takes for a second, small model; without it
// the engine leaves the head's tensors alone.
ModelWeights SelectWeights(
    const Catalogue& catalogue, const OnDeviceTest& on_device = [](const TensorEntry&) { return false; },
    bool uses_head = false);

}  // namespace headrace::cli
