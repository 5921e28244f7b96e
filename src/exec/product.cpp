#include "exec/product.h"

#include <algorithm>

#include "base/size.h"
#include "plan/residency.h"

namespace headrace {
namespace {

constexpr size_t kGraphNodes = 64;
static_assert(kGraphNodes > ApartProduct::kNodes);

}  // namespace

Cut CutOf(const GgmlApi& api, const ggml_tensor& weight) {
  const size_t row_bytes = api.row_size(weight.type, weight.ne[0]);
  const bool contiguous = weight.nb[1] == row_bytes &&
                          weight.nb[2] == weight.nb[1] * static_cast<size_t>(weight.ne[1]) &&
                          weight.nb[3] == weight.nb[2] * static_cast<size_t>(weight.ne[2]);
  // A row of a quantized type is whole blocks; nb[0] tells a transposed view from the weight itself.
  const bool rows_in_order = contiguous && weight.nb[0] <= weight.nb[1] &&
                             api.nbytes(&weight) == weight.nb[3] * static_cast<size_t>(weight.ne[3]);
  if (!rows_in_order) return {1, api.nbytes(&weight), false};
  return {static_cast<uint64_t>(weight.ne[1] * weight.ne[2] * weight.ne[3]), row_bytes, true};
}

Product::Product(const GgmlApi& api, ApartTypes& apart_types)
    : api_(api),
      context_(api.init({64 * kKiB, nullptr, true})),
      move_(api, context_),
      apart_(api, context_),
      apart_types_(apart_types),
      graph_(api.new_graph_custom(context_, kGraphNodes, false)) {}

Product::~Product() { api_.free(context_); }

// `matrices` consecutive matrices of the weight when they are whole, or rows of one.
void Product::AddPiece(const ggml_tensor& node, uint64_t matrix, uint64_t matrices, uint64_t row, uint64_t rows,
                       void* data, const PackedLayout* packed) {
  const ggml_tensor& weight = *node.src[0];
  const ggml_tensor& columns = *node.src[1];
  Piece& piece = pieces_.emplace_back();
  piece.weight = TileOf(api_, weight, static_cast<int64_t>(rows), data, packed);
  piece.weight.ne[2] = static_cast<int64_t>(matrices);
  piece.weight.nb[3] = piece.weight.nb[2] * matrices;

  // Each matrix of the weight serves columns.ne[2] / weight.ne[2] matrices of columns, likewise for ne[3].
  const auto per2 = static_cast<uint64_t>(columns.ne[2] / weight.ne[2]);
  const auto per3 = static_cast<uint64_t>(columns.ne[3] / weight.ne[3]);
  const uint64_t at2 = matrix % static_cast<uint64_t>(weight.ne[2]) * per2;
  const uint64_t at3 = matrix / static_cast<uint64_t>(weight.ne[2]) * per3;
  const auto narrow = [&](ggml_tensor& tensor) {
    tensor.data = static_cast<uint8_t*>(tensor.data) + at2 * tensor.nb[2] + at3 * tensor.nb[3];
    tensor.ne[2] = static_cast<int64_t>(per2 * matrices);
    tensor.ne[3] = static_cast<int64_t>(per3);
    tensor.view_src = nullptr;
  };
  piece.columns = columns;
  narrow(piece.columns);
  piece.product = node;
  piece.product.op = api_.op.mul_mat;
  narrow(piece.product);
  piece.product.data = static_cast<uint8_t*>(piece.product.data) + row * piece.product.nb[0];
  piece.product.ne[0] = static_cast<int64_t>(rows);
  piece.product.flags |= api_.compute_flag;
}

void Product::CutPieces(const ggml_tensor& node, uint64_t first_row, uint64_t rows, uint8_t* data,
                        const PackedLayout* packed, bool apart) {
  const ggml_tensor& weight = *node.src[0];
  const auto matrix_rows = static_cast<uint64_t>(weight.ne[1]);
  // ggml's tiled float kernels take a matrix whose rows are a multiple of 4 and leave any other to dot
  // products, which round differently. A piece must fall on the same side as the whole weight.
  const uint64_t odd_rows = packed == nullptr ? matrix_rows % 4 : 0;
  const size_t row_bytes = packed != nullptr ? packed->row_bytes : weight.nb[1];
  uint64_t row = first_row;
  const uint64_t end = first_row + rows;
  while (row < end) {
    const uint64_t matrix = row / matrix_rows, in_matrix = row % matrix_rows;
    const uint64_t whole = in_matrix == 0 && weight.ne[3] == 1 && !apart ? (end - row) / matrix_rows : 0;
    uint64_t take = std::min(end - row, matrix_rows - in_matrix);
    uint8_t* at = data + (row - first_row) * row_bytes;
    if (whole > 1) {
      take = whole * matrix_rows;
      AddPiece(node, matrix, whole, 0, matrix_rows, at, packed);
    } else if (odd_rows != 0 && take % 4 == 0) {
      AddPiece(node, matrix, 1, in_matrix, take - odd_rows, at, packed);
      AddPiece(node, matrix, 1, in_matrix + take - odd_rows, odd_rows, at + (take - odd_rows) * row_bytes, packed);
    } else {
      AddPiece(node, matrix, 1, in_matrix, take, at, packed);
    }
    row += take;
  }
}

ggml_status Product::MoveRows(ggml_backend_t backend, const ggml_tensor& weight, uint64_t rows,
                              const PackedLayout* packed, const Move& move) {
  api_.graph_clear(graph_);
  api_.graph_add_node(graph_, move_.Node(weight, rows, move.from, move.to, packed));
  return api_.backend_graph_compute(backend, graph_);
}

ggml_status Product::Multiply(ggml_backend_t backend, const ggml_tensor& node, uint64_t first_row, uint64_t rows,
                              void* data, const PackedLayout* packed, const Move* move) {
  const Cut cut = CutOf(api_, *node.src[0]);
  const bool whole =
      rows == static_cast<uint64_t>(node.ne[0]) && first_row % rows == 0 && node.nb[1] == rows * node.nb[0];
  const bool apart = packed != nullptr && !whole && ComputesApart(node.src[0]->type, node.ne[1]);
  pieces_.clear();
  if (cut.by_rows) {
    // Pieces point at each other, so the vector must not grow while they are added.
    pieces_.reserve(2 * (2 + rows / std::max<uint64_t>(1, static_cast<uint64_t>(node.src[0]->ne[1]))));
    CutPieces(node, first_row, rows, static_cast<uint8_t*>(data), packed, apart);
  } else {
    Piece& piece = pieces_.emplace_back();
    piece.weight = *node.src[0];
    piece.weight.data = data;
    piece.weight.view_src = nullptr;
    piece.columns = *node.src[1];
    piece.product = node;
    piece.product.op = api_.op.mul_mat;
    piece.product.flags |= api_.compute_flag;
  }

  api_.graph_clear(graph_);
  size_t nodes = 0;
  if (move != nullptr) {
    api_.graph_add_node(graph_, move_.Node(*node.src[0], rows, move->from, move->to, packed));
    ++nodes;
  }
  ggml_status status = GGML_STATUS_SUCCESS;
  for (Piece& piece : pieces_) {
    if (nodes == kGraphNodes) {
      status = api_.backend_graph_compute(backend, graph_);
      if (status != GGML_STATUS_SUCCESS) return status;
      api_.graph_clear(graph_);
      nodes = 0;
    }
    piece.product.src[0] = &piece.weight;
    piece.product.src[1] = &piece.columns;
    if (apart) {
      status = apart_.Multiply(backend, graph_, piece.product, packed->row_bytes);
      if (status != GGML_STATUS_SUCCESS) return status;
      nodes = 0;
      continue;
    }
    api_.graph_add_node(graph_, &piece.product);
    ++nodes;
  }
  return nodes == 0 ? status : api_.backend_graph_compute(backend, graph_);
}

}  // namespace headrace
