// Routers that a device computes, copied to memory from there: with them the experts of the next layer are foreseen
// here. They are small: a row for each expert.
#pragma once

#include <cstdint>
#include <list>

#include "exec/ggml_api.h"
#include "exec/router_foresight.h"
#include "exec/weight_store.h"

namespace headrace {

// One owner at a time (the pass that runs). What it holds the caller leaves room for.
class RouterCopies {
 public:
  explicit RouterCopies(const GgmlApi& api) : api_(api) {}

  // What all copies together may hold.
  void SetLimit(uint64_t bytes) { limit_ = bytes; }
  // Makes a path readable here: its biases become copies, and the router's weight is returned. Null when that is not on
  // a device, or the copies would be larger than their limit; the path is of no use then. All live until Clear.
  const Weight* Copy(RouterPath& path);
  uint64_t bytes() const { return bytes_; }
  // Whatever a model that went has left.
  void Clear();

 private:
  struct Copied {
    const ggml_tensor* from = nullptr;
    const void* data = nullptr;  // on the device
    const void* buffer = nullptr;
    Weight weight;  // its rows are in memory, in the file's layout
  };
  bool IsOnDevice(const ggml_tensor& tensor) const;
  const Weight* Copy(const ggml_tensor& tensor);

  const GgmlApi& api_;
  std::list<Copied> copies_;  // addresses are stable
  uint64_t bytes_ = 0, limit_ = 0;
};

}  // namespace headrace
