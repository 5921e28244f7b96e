#include "exec/expert_product.h"

#include <algorithm>
#include <cstring>

#include "base/size.h"
#include "exec/packed_layout.h"
#include "plan/residency.h"

namespace headrace {
namespace {

// Pieces of one graph: each costs the engine's threads up to three barriers.
constexpr size_t kPieces = 32;
// The fewest rows of a piece: kernels interleave up to 32.
constexpr uint64_t kFewestRows = kRowGroup;

uint64_t ColumnBytes(const ggml_tensor& node) { return static_cast<uint64_t>(node.src[1]->ne[0]) * node.src[1]->nb[0]; }

uint8_t* ColumnAt(const ggml_tensor& tensor, const ExpertPair& pair) {
  // One column for all the experts of a token, or one for each.
  const auto use = static_cast<size_t>(pair.use % tensor.ne[1]);
  return static_cast<uint8_t*>(tensor.data) + use * tensor.nb[1] + static_cast<size_t>(pair.token) * tensor.nb[2];
}

}  // namespace

ExpertProduct::ExpertProduct(const GgmlApi& api) : api_(api), pieces_(kPieces) {
  context_ = api_.init({256 * kKiB, nullptr, true});
  graph_ = api_.new_graph_custom(context_, 3 * kPieces, false);
  const auto custom = [&](ColumnsTask& task) {
    ggml_tensor* node = api_.custom_4d(context_, GGML_TYPE_F32, 4, 1, 1, 1, nullptr, 0, &ExpertProduct::RunColumns, GGML_N_TASKS_MAX, &task);
    node->data = column_result_;
    node->flags |= GGML_TENSOR_FLAG_COMPUTE;
    return node;
  };
  for (Piece& piece : pieces_) {
    piece.gather_node = custom(piece.gather);
    piece.scatter_node = custom(piece.scatter);
  }
}

ExpertProduct::~ExpertProduct() { api_.free(context_); }

void ExpertProduct::RunColumns(ggml_tensor*, int thread, int threads, void* argument) {
  const ColumnsTask& task = *static_cast<const ColumnsTask*>(argument);
  const auto t = static_cast<size_t>(thread), n = static_cast<size_t>(threads);
  for (size_t i = task.pairs.size() * t / n; i < task.pairs.size() * (t + 1) / n; ++i) {
    uint8_t* const strided = ColumnAt(*task.strided, task.pairs[i]) + task.offset;
    uint8_t* const consecutive = task.consecutive + i * task.bytes;
    task.gather ? std::memcpy(consecutive, strided, task.bytes) : std::memcpy(strided, consecutive, task.bytes);
  }
}

// A piece whose weight is the rows of one expert.
ExpertProduct::Piece& ExpertProduct::NextPiece(const ggml_tensor& node, const ExpertRows& work) {
  Piece& piece = pieces_[used_++];
  piece.weight = TileOf(api_, *node.src[0], static_cast<int64_t>(work.rows), const_cast<uint8_t*>(work.data), nullptr);
  piece.columns = *node.src[1];
  piece.columns.view_src = nullptr;
  piece.columns.ne[1] = piece.columns.ne[2] = piece.columns.ne[3] = 1;
  piece.ids = *node.src[2];
  piece.ids.view_src = nullptr;
  piece.ids.data = zeros_.data();
  piece.ids.ne[0] = piece.ids.ne[1] = piece.ids.ne[2] = piece.ids.ne[3] = 1;
  piece.ids.nb[0] = piece.ids.nb[1] = piece.ids.nb[2] = piece.ids.nb[3] = sizeof(int32_t);
  piece.product = node;
  piece.product.op = GGML_OP_MUL_MAT_ID;
  piece.product.view_src = nullptr;
  piece.product.flags |= GGML_TENSOR_FLAG_COMPUTE;
  piece.product.ne[0] = static_cast<int64_t>(work.rows);
  piece.product.ne[1] = piece.product.ne[2] = piece.product.ne[3] = 1;
  piece.product.src[0] = &piece.weight;
  piece.product.src[1] = &piece.columns;
  piece.product.src[2] = &piece.ids;
  return piece;
}

void ExpertProduct::AddInPlace(const ggml_tensor& node, const ExpertRows& work, const ExpertPair& pair) {
  Piece& piece = NextPiece(node, work);
  piece.columns.data = ColumnAt(*node.src[1], pair);
  piece.product.data = ColumnAt(node, pair) + work.first_row * node.nb[0];
  api_.graph_add_node(graph_, &piece.product);
}

void ExpertProduct::AddGathered(const ggml_tensor& node, const ExpertRows& work, std::span<const ExpertPair> pairs, uint8_t* scratch) {
  Piece& piece = NextPiece(node, work);
  const uint64_t column_bytes = ColumnBytes(node);
  const auto place = [&](ggml_tensor& tensor, uint8_t* at) {
    tensor.data = at;
    tensor.ne[2] = static_cast<int64_t>(pairs.size());
    tensor.nb[1] = tensor.nb[2] = tensor.nb[0] * static_cast<size_t>(tensor.ne[0]);
    tensor.nb[3] = tensor.nb[2] * pairs.size();
  };
  place(piece.columns, scratch);
  place(piece.product, scratch + AlignUp(column_bytes * pairs.size(), kPageBytes));
  piece.ids.ne[1] = static_cast<int64_t>(pairs.size());
  piece.ids.nb[2] = piece.ids.nb[3] = sizeof(int32_t) * pairs.size();
  piece.gather = {node.src[1], pairs, 0, column_bytes, static_cast<uint8_t*>(piece.columns.data), true};
  piece.scatter = {&node, pairs, work.first_row * node.nb[0], work.rows * node.nb[0], static_cast<uint8_t*>(piece.product.data), false};
  api_.graph_add_node(graph_, piece.gather_node);
  api_.graph_add_node(graph_, &piece.product);
  api_.graph_add_node(graph_, piece.scatter_node);
}

ggml_status ExpertProduct::Flush(ggml_backend_t backend) {
  if (used_ == 0) return GGML_STATUS_SUCCESS;
  const ggml_status status = api_.backend_graph_compute(backend, graph_);
  api_.graph_clear(graph_);
  used_ = 0;
  return status;
}

bool ExpertProduct::MultiplyWhole(ggml_backend_t backend, ggml_tensor& node) {
  api_.graph_clear(graph_);
  api_.graph_add_node(graph_, &node);
  return api_.backend_graph_compute(backend, graph_) == GGML_STATUS_SUCCESS;
}

uint64_t ExpertProduct::ScratchBytes(const ggml_tensor& node, int64_t tokens) {
  const uint64_t rows = std::min(static_cast<uint64_t>(node.ne[0]), kFewestRows);
  return 2 * kPageBytes + static_cast<uint64_t>(tokens) * (ColumnBytes(node) + rows * node.nb[0]);
}

ggml_status ExpertProduct::Multiply(ggml_backend_t backend, const ggml_tensor& node, std::span<const ExpertRows> work,
                                    std::span<uint8_t> scratch) {
  api_.graph_clear(graph_);
  used_ = 0;
  size_t most = 1;
  for (const ExpertRows& rows : work) most = std::max(most, rows.pairs.size());
  if (zeros_.size() < most) zeros_.assign(most, 0);
  const uint64_t room = scratch.size() - std::min<uint64_t>(scratch.size(), 2 * kPageBytes);
  const uint64_t column_bytes = ColumnBytes(node), result_bytes = node.nb[0], row_bytes = node.src[0]->nb[1];
  for (const ExpertRows& all : work) {
    // All columns at once, and as many rows as then have room for their results.
    const uint64_t fewest = std::min(all.rows, kFewestRows);
    const size_t columns = std::clamp<size_t>(room / (column_bytes + fewest * result_bytes), 1, all.pairs.size());
    for (size_t column = 0; column < all.pairs.size(); column += columns) {
      const auto pairs = all.pairs.subspan(column, std::min(columns, all.pairs.size() - column));
      const bool in_place = pairs.size() == 1;
      const uint64_t fitting = in_place ? all.rows : AlignDown((room / pairs.size() - column_bytes) / result_bytes, kFewestRows);
      const uint64_t step = std::clamp(fitting, fewest, all.rows);
      for (uint64_t row = 0; row < all.rows; row += step) {
        const ExpertRows rows{all.first_row + row, std::min(step, all.rows - row), all.data + row * row_bytes, pairs};
        in_place ? AddInPlace(node, rows, pairs[0]) : AddGathered(node, rows, pairs, scratch.data());
        if (used_ < kPieces) continue;
        if (const ggml_status status = Flush(backend); status != GGML_STATUS_SUCCESS) return status;
      }
    }
  }
  return Flush(backend);
}

}  // namespace headrace
