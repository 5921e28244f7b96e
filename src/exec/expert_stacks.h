// The stacks of experts that lie in mapped model files, by name. An engine that keeps experts on a device (llama.cpp's
// --moe-cache-mib) computes with a tensor of its own, "moe_cache.blk.0.ffn_up_exps.weight", and copies there what it
// lacks: by the name one knows of which stack.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "exec/ggml_api.h"

namespace headrace {

// Thread-safe.
class ExpertStacks {
 public:
  // A tensor that has its address: three-dimensional, one matrix for each expert.
  void Add(const ggml_tensor& stack);
  // Forgets those that begin in an address range.
  void Remove(const void* address, uint64_t bytes);
  // The stack whose experts a tensor of the same type and shape of matrices keeps: its name without something and a dot
  // before it is the stack's. Null where there is none, or more than one.
  std::shared_ptr<const ggml_tensor> KeptIn(const ggml_tensor& cache) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const ggml_tensor>>
      stacks_;  // shared: a pass may still look at one that goes; guarded by mutex_
};

}  // namespace headrace
