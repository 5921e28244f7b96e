// The products of single experts: MUL_MAT_ID nodes with one expert at a time, wherever its bytes are.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "exec/column_copy.h"
#include "exec/ggml_api.h"
#include "exec/packed_layout.h"
#include "exec/router_choice.h"
#include "exec/row_move.h"

namespace headrace {

// Rows [first_row, first_row + rows) of one expert's matrix, and who chose it.
struct ExpertRows {
  uint64_t first_row = 0;
  uint64_t rows = 0;
  const uint8_t* data = nullptr;
  std::span<const ExpertPair> pairs;
  const PackedLayout* layout = nullptr;  // whose kernels multiply; null: the file's
  bool packed = false;                   // data is in it already
};

// Multiplies with a CPU backend: the host's own, or a Worker's. One thread at a time.
//
// The engine's kernel is the same MUL_MAT_ID, with a weight of one expert and ids of zero. (MUL_MAT has other
// kernels that round differently.) All columns of an expert are in one piece: some of the engine's kernels
// round differently for one column and for several.
class ExpertProduct {
 public:
  explicit ExpertProduct(const GgmlApi& api);
  ~ExpertProduct();
  ExpertProduct(const ExpertProduct&) = delete;
  ExpertProduct& operator=(const ExpertProduct&) = delete;

  // Memory that a node needs to gather the columns of an expert that `tokens` tokens chose, beside one group
  // of its rows that are converted to another layout.
  static uint64_t ScratchBytes(const ggml_tensor& node, int64_t tokens);

  // Computes the products into their place in node.data. In `scratch`, rows are brought into their layout, and the
  // columns of an expert that several tokens chose are gathered; with less than ScratchBytes for them it is
  // multiplied a few columns at a time.
  ggml_status Multiply(ggml_backend_t backend, const ggml_tensor& node, std::span<const ExpertRows> work,
                       std::span<uint8_t> scratch);

  // Brings all rows of one expert from the file's layout into `layout`, where they are.
  ggml_status PackInPlace(ggml_backend_t backend, const ggml_tensor& weight, uint8_t* data, const PackedLayout* layout,
                          std::span<uint8_t> scratch);

  // The node as it is, with all its experts where its weight says.
  bool MultiplyWhole(ggml_backend_t backend, ggml_tensor& node);

  uint64_t pack_ns() const;

 private:
  struct Piece {
    Piece(const GgmlApi& api, ggml_context* context)
        : move(api, context), gather(api, context), scatter(api, context) {}
    ggml_tensor weight, columns, ids, product;
    RowMove move;
    ColumnCopy gather, scatter;
  };

  uint8_t* Pack(const ggml_tensor& weight, uint64_t rows, const uint8_t* data, const PackedLayout* layout,
                uint8_t* scratch);
  void AddPiece(const ggml_tensor& node, const ExpertRows& work, uint8_t* scratch);
  ggml_status Flush(ggml_backend_t backend);

  const GgmlApi& api_;
  ggml_context* context_;
  ggml_cgraph* graph_;
  std::list<Piece> pieces_;          // which graph nodes point at
  std::list<Piece>::iterator next_;  // the first that is unused
  std::vector<int32_t> zeros_;
};

}  // namespace headrace
