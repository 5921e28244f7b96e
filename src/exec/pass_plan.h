// What a pass computes from managed weights, as the graph says before it runs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "exec/expert_stacks.h"
#include "exec/expert_store.h"
#include "exec/expert_use.h"
#include "exec/ggml_api.h"
#include "exec/mapping_table.h"
#include "exec/pass.h"
#include "exec/router_copies.h"
#include "exec/row_lookup.h"
#include "exec/weight_store.h"

namespace headrace {

// A product with a mapped weight.
struct ManagedProduct {
  Takeover takeover;                    // node, before, at, backend, elsewhere, upload, ids, kept
  const ggml_tensor* weight = nullptr;  // in the mapping; of an upload the node names the copy on the device
  Origin origin;
};

// The products of a graph whose weights are mapped, before the scheduler has put copies in the place of what another
// backend has.
struct MappedWeight {
  const ggml_tensor* node = nullptr;
  const ggml_tensor* weight = nullptr;
  const ggml_tensor* ids = nullptr;  // null for a MUL_MAT
  std::shared_ptr<const ggml_tensor>
      stack;  // the weight, where the node names a tensor in which the engine keeps some of its experts; else null
};
std::vector<MappedWeight> FindMappedWeights(const GgmlApi& api, ggml_cgraph* graph, const MappingTable& mappings,
                                            const ExpertStacks& stacks);

// In graph order: those that the processor computes, and those for which the engine copies the weight to a device. A
// MUL_MAT_ID whose weight is no plain stack of matrices is left to the mapping: the kernel may read it ahead again.
// `mapped` was found when the graph was allocated.
std::vector<ManagedProduct> FindProducts(const GgmlApi& api, ggml_backend_sched_t sched, ggml_cgraph* graph,
                                         std::span<const MappedWeight> mapped, MappingTable& mappings);

struct PassPlan {
  std::vector<Takeover> takeovers;  // in graph order
  std::vector<Lookup> lookups;      // in graph order, of rows of managed tables
  std::vector<ExpertUse> uses;      // of the layers with experts, in graph order; takeovers point at them
  std::vector<const SourceFile*> files;
  bool of_head = false;           // it drafts: of a head that the model's own file carries
  int64_t columns = 0;            // of the widest batch
  uint64_t multiplied_bytes = 0;  // of weights, if that batch is one column wide
  uint64_t column_bytes = 0;      // of scratch for the widest batch's experts (PlanResidency)

  void Clear();
};

// Enters weights and layers that are new into the stores, and copies routers that a device has; without `routers`
// nothing is foreseen.
void MakePassPlan(const GgmlApi& api, std::vector<ManagedProduct> products, RouterCopies* routers, WeightStore& weights,
                  ExpertStore& experts, PassPlan& plan);

// What the pass looks up beside, in graph order.
void AddLookups(std::vector<Lookup> lookups, PassPlan& plan);

}  // namespace headrace
