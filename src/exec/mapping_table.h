// Which addresses of this process are mapped model files.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "io/source_file.h"

namespace headrace {

// Where a mapped byte comes from.
struct Origin {
  std::shared_ptr<const SourceFile> file;  // shared: a weight outlives the unmapping of its address range
                                           // until the pass that uses it has ended
  uint64_t offset = 0;                     // in the file
  uint32_t model = 0;                      // files that are loaded together have one number
};

// Thread-safe.
class MappingTable {
 public:
  void Add(const void* address, uint64_t bytes, Origin origin);
  // Forgets the range, which may be a part of a mapping or cover several. True when any was known.
  bool Remove(const void* address, uint64_t bytes);
  // The origin of [address, address + bytes) if it lies within one mapping.
  std::optional<Origin> Find(const void* address, uint64_t bytes) const;
  bool Overlaps(const void* address, uint64_t bytes) const;
  std::set<uint32_t> models() const;
  uint64_t BytesOf(uint32_t model) const;
  bool empty() const;

  // The kernel may read ahead no more in a range that was just added: what streams is read by somebody else.
  void TakeFromKernel(const void* address, uint64_t bytes);
  // What is known of the range is read through the mapping after all: the kernel reads ahead again. Costs little where
  // that was said before.
  void LeaveToKernel(const void* address, uint64_t bytes);
  // Whether the range overlaps a mapping that was not left to the kernel as a whole.
  bool Streams(const void* address, uint64_t bytes) const;

 private:
  struct Mapping {
    uintptr_t end = 0;
    Origin origin;      // of the first byte
    bool left = false;  // to the kernel, as a whole
  };
  using Mappings = std::map<uintptr_t, Mapping>;
  Mappings::const_iterator FirstOverlap(uintptr_t begin, uintptr_t end) const;  // needs mutex_

  mutable std::mutex mutex_;
  Mappings mappings_;  // by first address; disjoint; guarded by mutex_
};

}  // namespace headrace
