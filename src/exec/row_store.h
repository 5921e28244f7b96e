// The tables whose rows are looked up, and the rows of them that are in memory.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "exec/pass.h"
#include "exec/row_lookup.h"
#include "exec/weight_store.h"
#include "memory/headroom.h"
#include "rows/row_memory.h"
#include "rows/row_reader.h"

namespace headrace {

// One owner at a time (the pass that runs).
class RowStore {
 public:
  explicit RowStore(const GgmlApi& api) : api_(api), gather_(api) {}

  // The table of a lookup, added when it is new.
  RowTable* FindOrAdd(const Lookup& lookup);
  // Forgets the tables in an address range.
  void Remove(const void* address, uint64_t bytes);
  bool Any(const void* address, uint64_t bytes) const;
  std::vector<RowShape> Shapes() const;

  // Memory of so many bytes of the budget for the present tables (0: none, the mapping serves): what there is when
  // nothing has changed, else new memory, which holds no rows yet. `reads` and `headroom` outlive the store.
  Status EnsureMemory(WeightStore& weights, uint64_t bytes, ReadService& reads, Headroom& headroom);
  // Gives it back.
  void Drop();

  // A pass begins with these lookups: begins to read what is known of them already, so that all of it is read together.
  // Never fails: what cannot be read is read again when its turn comes.
  void Foresee(std::span<const Lookup> lookups);
  // A lookup's turn has come: computes it, in pieces where its rows are more than there is memory for. Errors: the
  // read's; kInternal when the engine did not compute it; kCancelled when its host asked it to stop.
  Status LookUp(const Lookup& lookup, ggml_backend_t backend, PassTimes& times);

  uint64_t memory_bytes() const { return reservation_.bytes(); }
  // Of all readers so far.
  uint64_t bytes_read() const;
  uint64_t looked_up() const { return looked_up_; }  // rows
  uint64_t hits() const { return hits_; }            // of those: in memory already

 private:
  struct Pending {
    RowTable* table;
    uint32_t row;
  };
  template <typename Work>
  auto OrForget(const Work& work);
  void BeginReading(std::span<const Lookup> lookups);
  uint32_t Take(RowTable& table, uint32_t row);
  void Read(RowTable& table, std::span<const uint32_t> rows, std::span<const uint32_t> slots);
  Status Settle();
  Status LookUpPieces(const Lookup& lookup, ggml_backend_t backend, PassTimes& times);
  Status Fetch(RowTable& table, size_t first, PassTimes& times);

  const GgmlApi& api_;
  RowGather gather_;
  std::list<RowTable> tables_;  // addresses are stable
  bool changed_ = false;        // tables came or went since there was memory for them
  uint64_t granted_bytes_ = 0;
  uint64_t bytes_read_ = 0;  // by readers that are gone
  uint64_t looked_up_ = 0, hits_ = 0;
  Headroom* headroom_ = nullptr;
  Reservation reservation_;  // before the memory that it pays for
  Region arena_;
  std::unique_ptr<RowReader> reader_;  // null: there is no memory
  std::vector<Pending> pending_;       // rows that are being read
  std::vector<uint32_t> rows_;         // of the present lookup
  std::vector<int32_t> slots_;         // of its present piece
};

}  // namespace headrace
