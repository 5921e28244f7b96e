// Recurrent layers (state spaces, linear attention) keep a state that each pass replaces. When a pass fails half-way
// some layers have the new state and others the old one, and a host that tries again would compute wrong tokens without
// an error. So the states are copied before a pass that may fail, and written back when it did. Keys and values need no
// copy: the engine takes the tokens of a failed pass out of its cache.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "exec/ggml_api.h"
#include "memory/region.h"

namespace headrace {

// One pass at a time: Find, Save, and Restore when it has failed.
class StateGuard {
 public:
  explicit StateGuard(const GgmlApi& api) : api_(api) {}

  // Looks what the graph's nodes replace of tensors that outlive it, as far as these are in memory and no KV cache.
  // Returns its bytes, which the caller pays for until the next Find.
  uint64_t Find(ggml_cgraph* graph);
  // Nothing of what was found is copied.
  void LeaveOut() { ranges_.clear(); }
  // Copies it. Errors: of the system.
  Status Save();
  // Writes it back.
  void Restore();

 private:
  struct Range {
    uint8_t* data;
    uint64_t bytes;
  };
  uint64_t bytes() const;  // of all ranges

  const GgmlApi& api_;
  std::vector<Range> ranges_;  // disjoint
  Region copies_;              // one behind the other
};

}  // namespace headrace
