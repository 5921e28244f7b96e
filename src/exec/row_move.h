// Rows of a weight change place by all threads of a backend: copied, or converted to a packed layout. A custom
// operation in front of the product that uses them, in the same small graph.
#pragma once

#include <cstdint>

#include "exec/ggml_api.h"
#include "exec/packed_layout.h"

namespace headrace {

class RowMove {
 public:
  // `context` makes the node and outlives it. The object must not move.
  RowMove(const GgmlApi& api, ggml_context* context);
  RowMove(const RowMove&) = delete;
  RowMove& operator=(const RowMove&) = delete;

  // `rows` rows of `weight` from `from`, in the file's layout, to `to`, in the layout `packed` (null: the file's).
  // They do not overlap. All must live until the node has been computed.
  ggml_tensor* Node(const ggml_tensor& weight, uint64_t rows, const void* from, void* to, const PackedLayout* packed);

  // Time that the moves took, as seen by the first thread.
  uint64_t nanoseconds() const { return nanoseconds_; }

 private:
  static void Run(ggml_tensor* result, const ggml_tensor* source, int thread, int threads, void* self);

  const GgmlApi& api_;
  ggml_tensor* node_;
  const ggml_tensor* weight_ = nullptr;
  uint64_t rows_ = 0;
  uint64_t row_bytes_ = 0;  // in the file's layout
  const uint8_t* from_ = nullptr;
  uint8_t* to_ = nullptr;
  const PackedLayout* packed_ = nullptr;
  uint64_t nanoseconds_ = 0;
};

}  // namespace headrace
