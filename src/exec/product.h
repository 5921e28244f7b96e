// One streamed product: the pieces of a MUL_MAT node, each with the rows of the weight that are at hand.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "exec/apart_product.h"
#include "exec/ggml_api.h"
#include "exec/packed_layout.h"
#include "exec/row_move.h"

namespace headrace {

// How a weight can be cut: rows of equal bytes, one behind the other, over all its matrices; or not at
// all (a permuted or padded view), then it is one row of all its bytes.
struct Cut {
  uint64_t rows = 0;
  uint64_t row_bytes = 0;
  bool by_rows = false;
};
Cut CutOf(const GgmlApi& api, const ggml_tensor& weight);

// Rows that change place before they are multiplied: copied, or converted to a packed layout, by all
// threads of the backend.
struct Move {
  const void* from = nullptr;  // in the file's layout
  void* to = nullptr;
};

// Multiplies with a CPU backend: the host's own with its threads, thread pool and abort callback, or a Worker's. One
// thread at a time.
class Product {
 public:
  // Both outlive it.
  Product(const GgmlApi& api, ApartTypes& apart_types);
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  // Computes rows [first_row, first_row + rows) of the weight node.src[0] times node.src[1] into their
  // place in node.data; bit for bit what the whole product gives there. `data` holds the rows, in the
  // layout of `packed` or, when that is null, of the file. With a move the rows are first brought from
  // move.from to move.to == data.
  // Cut points are multiples of kRowGroup. Returns the backend's status.
  ggml_status Multiply(ggml_backend_t backend, const ggml_tensor& node, uint64_t first_row, uint64_t rows, void* data,
                       const PackedLayout* packed, const Move* move);

  // The move alone: `rows` rows of the weight, to be multiplied later.
  ggml_status MoveRows(ggml_backend_t backend, const ggml_tensor& weight, uint64_t rows, const PackedLayout* packed,
                       const Move& move);

  // The packed kernels of this type cannot write so many columns, or more, of more rows than a piece has: their results
  // are computed apart from now on.
  void ComputeApart(ggml_type type, int64_t from_columns) { apart_types_[type] = from_columns; }
  bool ComputesApart(ggml_type type, int64_t columns) const {
    const auto from = apart_types_.find(type);
    return from != apart_types_.end() && columns >= from->second;
  }

  // Time that moves took, as seen by the first thread.
  uint64_t move_ns() const { return move_.nanoseconds(); }

 private:
  struct Piece {
    ggml_tensor weight;
    ggml_tensor columns;
    ggml_tensor product;
  };

  void AddPiece(const ggml_tensor& node, uint64_t matrix, uint64_t matrices, uint64_t row, uint64_t rows, void* data,
                const PackedLayout* packed);
  void CutPieces(const ggml_tensor& node, uint64_t first_row, uint64_t rows, uint8_t* data, const PackedLayout* packed,
                 bool apart);

  const GgmlApi& api_;
  ggml_context* context_;
  RowMove move_;
  ApartProduct apart_;
  ApartTypes& apart_types_;
  ggml_cgraph* graph_;
  std::vector<Piece> pieces_;
};

}  // namespace headrace
