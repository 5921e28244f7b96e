// Rows of a mapped table that the engine looks up (GET_ROWS): embeddings of tokens, of layers, of n-grams.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "exec/ggml_api.h"
#include "exec/mapping_table.h"
#include "rows/row_cache.h"

namespace headrace {

// A table as graphs name it, and which of its rows are in memory. The RowStore's.
struct RowTable {
  ggml_tensor tensor{};  // type, shape, mapped address
  Origin origin;
  uint64_t row_bytes = 0;

  RowCache cache;
  uint8_t* slots = nullptr;  // in memory; null: there is none
  uint64_t stride = 0;       // bytes from one slot to the next
  uint32_t most_slots = 0;
  std::vector<bool> unused;  // for each slot: its row was read for a lookup that is still to come
};

// A node whose table is managed.
struct Lookup {
  ggml_tensor* node = nullptr;
  const ggml_tensor* before = nullptr;  // the node before it in the graph, null for the first
  int at = 0;                           // its place in the graph
  ggml_backend_t backend = nullptr;     // the CPU backend that computes it
  RowTable* table = nullptr;            // the RowStore's, null until it knows it
  Origin origin;                        // of the table
};

// In graph order: lookups that the processor does in matrices of whole rows that lie in a mapping, by a list of
// numbers. All others are left to the mapping.
std::vector<Lookup> FindLookups(const GgmlApi& api, ggml_backend_sched_t sched, ggml_cgraph* graph,
                                const MappingTable& mappings);

// The numbers of the rows. False when one of them is in no table, or they are not in memory: only the engine knows what
// it does then.
bool RowNumbers(const Lookup& lookup, std::vector<uint32_t>& rows);
// They are what the graph was handed over with (tokens), as far as can be told.
bool KnownBefore(const GgmlApi& api, const Lookup& lookup);

// Computes lookups, whole or in pieces, from rows wherever they are: with the engine's own operation, so with its bits.
class RowGather {
 public:
  explicit RowGather(const GgmlApi& api);  // which outlives it
  ~RowGather();
  RowGather(const RowGather&) = delete;
  RowGather& operator=(const RowGather&) = delete;

  // Results [first, first + slots.size()), each from that slot of the table.
  ggml_status FromSlots(ggml_backend_t backend, const Lookup& lookup, uint64_t first, std::span<const int32_t> slots);
  // All of it, from the mapping.
  ggml_status FromMapping(ggml_backend_t backend, const Lookup& lookup);

 private:
  ggml_status Compute(ggml_backend_t backend);

  const GgmlApi& api_;
  ggml_context* context_;
  ggml_cgraph* graph_;
  ggml_tensor table_{}, numbers_{}, result_{};
};

}  // namespace headrace
