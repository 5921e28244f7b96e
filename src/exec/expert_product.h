// The products of single experts: MUL_MAT_ID nodes with one expert at a time, wherever its bytes are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "exec/ggml_api.h"
#include "exec/router_choice.h"

namespace headrace {

// Rows [first_row, first_row + rows) of one expert's matrix in the file's layout, and who chose it.
struct ExpertRows {
  uint64_t first_row = 0;
  uint64_t rows = 0;
  const uint8_t* data = nullptr;
  std::span<const ExpertPair> pairs;
};

// Multiplies with the host's own CPU backend. One thread at a time.
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

  // Memory that a node needs to gather the columns of an expert that `tokens` tokens chose.
  static uint64_t ScratchBytes(const ggml_tensor& node, int64_t tokens);

  // Computes the products into their place in node.data. An expert that several tokens chose has its columns
  // gathered in `scratch`; with less than ScratchBytes for them it is multiplied a few columns at a time.
  ggml_status Multiply(ggml_backend_t backend, const ggml_tensor& node, std::span<const ExpertRows> work,
                       std::span<uint8_t> scratch);

  // The node as it is, with all its experts where its weight says.
  bool MultiplyWhole(ggml_backend_t backend, ggml_tensor& node);

 private:
  // Copies columns between the node's places and consecutive ones, by all threads.
  struct ColumnsTask {
    const ggml_tensor* strided = nullptr;  // [.., per token, tokens]
    std::span<const ExpertPair> pairs;
    uint64_t offset = 0;                   // in each strided column, bytes
    uint64_t bytes = 0;                    // of each column
    uint8_t* consecutive = nullptr;
    bool gather = false;
  };
  struct Piece {
    ggml_tensor weight, columns, ids, product;
    ColumnsTask gather, scatter;
    ggml_tensor* gather_node = nullptr;
    ggml_tensor* scatter_node = nullptr;
  };

  static void RunColumns(ggml_tensor* result, int thread, int threads, void* task);
  Piece& NextPiece(const ggml_tensor& node, const ExpertRows& work);
  void AddInPlace(const ggml_tensor& node, const ExpertRows& work, const ExpertPair& pair);
  void AddGathered(const ggml_tensor& node, const ExpertRows& work, std::span<const ExpertPair> pairs, uint8_t* scratch);
  ggml_status Flush(ggml_backend_t backend);

  const GgmlApi& api_;
  ggml_context* context_;
  ggml_cgraph* graph_;
  std::vector<Piece> pieces_;
  size_t used_ = 0;
  std::vector<int32_t> zeros_;
  float column_result_[4] = {};
};

}  // namespace headrace
