// Products whose results are computed in memory of their own and then copied to their columns.
//
// Some packed kernels take the rows of the weight for the distance between the columns of the result: of a piece with
// fewer rows than the node has they would write columns beside their place. Older engines' do so from the second column
// on, those for AMX (at least up to 2026) from the 33rd on, where their second block of columns begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <vector>

#include "exec/column_copy.h"
#include "exec/ggml_api.h"

namespace headrace {

// The types of weights whose packed products are computed so, and from how many columns on. Changes between two passes
// alone.
using ApartTypes = std::map<ggml_type, int64_t>;

// One thread at a time.
class ApartProduct {
 public:
  // `context` makes the nodes and outlives it; it needs room for kNodes / 2 custom nodes.
  ApartProduct(const GgmlApi& api, ggml_context* context);

  // The most nodes that Multiply adds to a graph before it computes it.
  static constexpr size_t kNodes = 32;

  // `product` is a MUL_MAT node with rows of one matrix as its source, of `row_bytes` each, and its data in place.
  // Computes it, after what `graph` has already; the graph is empty then.
  ggml_status Multiply(ggml_backend_t backend, ggml_cgraph* graph, const ggml_tensor& product, uint64_t row_bytes);

 private:
  struct Part {
    Part(const GgmlApi& api, ggml_context* context) : copy(api, context) {}
    ggml_tensor weight, columns, product, target;
    ColumnCopy copy;
  };
  ggml_status Flush(ggml_backend_t backend, ggml_cgraph* graph);

  const GgmlApi& api_;
  std::list<Part> parts_;            // which graph nodes point at
  std::list<Part>::iterator next_;   // the first that is unused
  std::vector<ExpertPair> columns_;  // every column by its number
  std::vector<float> results_;       // of one part: nodes run in order
};

}  // namespace headrace
