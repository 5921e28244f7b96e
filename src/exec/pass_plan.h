// What a pass computes from managed weights, as the graph says before it runs.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/expert_store.h"
#include "exec/expert_use.h"
#include "exec/ggml_api.h"
#include "exec/mapping_table.h"
#include "exec/pass.h"
#include "exec/row_lookup.h"
#include "exec/weight_store.h"

namespace headrace {

// A product that the processor computes from a mapped weight.
struct ManagedProduct {
  Takeover takeover;                        // node, before, at, backend, elsewhere
  Origin origin;
};

// In graph order. A MUL_MAT_ID whose weight is no plain stack of matrices is left to the mapping, and so is what other devices compute: the kernel may read
// those ahead again.
std::vector<ManagedProduct> FindProducts(const GgmlApi& api, ggml_backend_sched_t sched, ggml_cgraph* graph, MappingTable& mappings);

struct PassPlan {
  std::vector<Takeover> takeovers;          // in graph order
  std::vector<Lookup> lookups;              // in graph order, of rows of managed tables
  std::vector<ExpertUse> uses;              // of the layers with experts, in graph order; takeovers point at them
  std::vector<const SourceFile*> files;
  int64_t columns = 0;                      // of the widest batch
  uint64_t multiplied_bytes = 0;            // of weights, if that batch is one column wide
  uint64_t column_bytes = 0;                // of scratch for the widest batch's experts (PlanResidency)

  void Clear();
};

// Enters weights and layers that are new into the stores. With `look_ahead` the routers of layers are found.
void MakePassPlan(const GgmlApi& api, std::vector<ManagedProduct> products, bool look_ahead, WeightStore& weights, ExpertStore& experts, PassPlan& plan);

// What the pass looks up beside, in graph order.
void AddLookups(std::vector<Lookup> lookups, PassPlan& plan);

}  // namespace headrace
