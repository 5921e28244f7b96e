// Recurrent layers (state spaces, linear attention) keep a state that each pass replaces. When a pass fails half-way some layers have the new
// state and others the old one, and a host that tries again would compute wrong tokens without an error. So the states are copied before a pass that
// may fail, and written back when it did. Keys and values need no copy: the engine takes the tokens of a failed pass out of its cache.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/ggml_api.h"

namespace headrace {

// One pass at a time.
class StateGuard {
 public:
  explicit StateGuard(const GgmlApi& api) : api_(api) {}

  // Copies what the graph's nodes replace of tensors that outlive it, as far as these are in memory and no KV cache.
  void Save(ggml_cgraph* graph);
  // Writes it back.
  void Restore();

 private:
  struct Range {
    uint8_t* data;
    size_t bytes;
  };
  const GgmlApi& api_;
  std::vector<Range> ranges_;
  std::vector<uint8_t> copies_;
};

}  // namespace headrace
