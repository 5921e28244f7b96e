#include "exec/expert_product.h"

#include <algorithm>

#include "base/size.h"
#include "plan/residency.h"

namespace headrace {
namespace {

// Pieces of one graph, of at most four nodes: each costs the engine's threads a barrier.
constexpr size_t kPieces = 32;
constexpr size_t kPieceNodes = 4;
// The fewest rows of a piece: kernels interleave up to 32.
constexpr uint64_t kFewestRows = kRowGroup;
// Rows in their layout, columns and results each begin at a page.
constexpr uint64_t kScratchPages = 3;

}  // namespace

ExpertProduct::ExpertProduct(const GgmlApi& api) : api_(api) {
  context_ = api_.init({160 * kKiB, nullptr, true});
  graph_ = api_.new_graph_custom(context_, kPieceNodes * kPieces, false);
  for (size_t i = 0; i < kPieces; ++i) pieces_.emplace_back(api_, context_);
  next_ = pieces_.begin();
}

ExpertProduct::~ExpertProduct() { api_.free(context_); }

// Adds the conversion and returns where the rows then are. Nodes run in order: all pieces use the same scratch.
uint8_t* ExpertProduct::Pack(const ggml_tensor& weight, uint64_t rows, const uint8_t* data, const PackedLayout* layout,
                             uint8_t* scratch) {
  api_.graph_add_node(graph_, next_->move.Node(weight, rows, data, scratch, layout));
  return scratch;
}

void ExpertProduct::AddPiece(const ggml_tensor& node, const ExpertRows& work, uint8_t* scratch) {
  Piece& piece = *next_;
  const size_t columns = work.pairs.size();
  const ggml_tensor& weight = *node.src[0];
  const uint8_t* data = work.data;
  if (work.layout != nullptr && !work.packed) {
    data = Pack(weight, work.rows, data, work.layout, scratch);
    scratch += AlignUp(work.rows * weight.nb[1], kReadAlignment);
  }
  piece.weight = TileOf(api_, weight, static_cast<int64_t>(work.rows), const_cast<uint8_t*>(data), work.layout);
  const auto one_expert = [&](ggml_tensor& tensor, const ggml_tensor& from, int64_t rows) {
    tensor = from;
    tensor.view_src = nullptr;
    tensor.ne[0] = rows;
    tensor.ne[1] = tensor.ne[3] = 1;
    tensor.ne[2] = static_cast<int64_t>(columns);
  };
  one_expert(piece.columns, *node.src[1], node.src[1]->ne[0]);
  one_expert(piece.product, node, static_cast<int64_t>(work.rows));
  piece.product.op = api_.op.mul_mat_id;
  piece.product.flags |= api_.compute_flag;
  piece.ids = *node.src[2];
  piece.ids.view_src = nullptr;
  piece.ids.data = zeros_.data();
  piece.ids.ne[0] = piece.ids.ne[2] = piece.ids.ne[3] = 1;
  piece.ids.ne[1] = static_cast<int64_t>(columns);
  piece.ids.nb[0] = piece.ids.nb[1] = sizeof(int32_t);
  piece.ids.nb[2] = piece.ids.nb[3] = sizeof(int32_t) * columns;
  piece.product.src[0] = &piece.weight;
  piece.product.src[1] = &piece.columns;
  piece.product.src[2] = &piece.ids;
  const uint64_t offset = work.first_row * node.nb[0];
  if (columns == 1) {
    piece.columns.data = ColumnAt(*node.src[1], work.pairs[0]);
    piece.product.data = ColumnAt(node, work.pairs[0]) + offset;
    api_.graph_add_node(graph_, &piece.product);
  } else {
    const auto place = [&](ggml_tensor& tensor, uint8_t* at) {
      tensor.data = at;
      tensor.nb[1] = tensor.nb[2] = tensor.nb[0] * static_cast<size_t>(tensor.ne[0]);
      tensor.nb[3] = tensor.nb[2] * columns;
    };
    place(piece.columns, scratch);
    place(piece.product, scratch + AlignUp(ColumnBytes(*node.src[1]) * columns, kReadAlignment));
    api_.graph_add_node(graph_, piece.gather.Gather(*node.src[1], work.pairs, ColumnBytes(*node.src[1]), scratch));
    api_.graph_add_node(graph_, &piece.product);
    api_.graph_add_node(graph_, piece.scatter.Scatter(node, work.pairs, offset, work.rows * node.nb[0],
                                                      static_cast<uint8_t*>(piece.product.data)));
  }
  ++next_;
}

ggml_status ExpertProduct::Flush(ggml_backend_t backend) {
  if (next_ == pieces_.begin()) return GGML_STATUS_SUCCESS;
  const ggml_status status = api_.backend_graph_compute(backend, graph_);
  api_.graph_clear(graph_);
  next_ = pieces_.begin();
  return status;
}

bool ExpertProduct::MultiplyWhole(ggml_backend_t backend, ggml_tensor& node) {
  api_.graph_clear(graph_);
  api_.graph_add_node(graph_, &node);
  return api_.backend_graph_compute(backend, graph_) == GGML_STATUS_SUCCESS;
}

uint64_t ExpertProduct::ScratchBytes(const ggml_tensor& node, int64_t tokens) {
  const uint64_t rows = std::min(static_cast<uint64_t>(node.ne[0]), kFewestRows);
  return kScratchPages * kReadAlignment + rows * node.src[0]->nb[1] +
         static_cast<uint64_t>(tokens) * (ColumnBytes(*node.src[1]) + rows * node.nb[0]);
}

ggml_status ExpertProduct::Multiply(ggml_backend_t backend, const ggml_tensor& node, std::span<const ExpertRows> work,
                                    std::span<uint8_t> scratch) {
  api_.graph_clear(graph_);
  next_ = pieces_.begin();
  size_t most = 1;
  for (const ExpertRows& rows : work) most = std::max(most, rows.pairs.size());
  if (zeros_.size() < most) zeros_.assign(most, 0);
  const auto less = [](uint64_t from, uint64_t amount) { return from - std::min(from, amount); };
  const uint64_t room = less(scratch.size(), kScratchPages * kReadAlignment);
  const uint64_t column_bytes = ColumnBytes(*node.src[1]), result_bytes = node.nb[0], row_bytes = node.src[0]->nb[1];
  for (const ExpertRows& all : work) {
    const uint64_t packing = all.layout != nullptr && !all.packed ? row_bytes : 0;  // bytes of scratch for each row
    // All columns at once, and as many rows as then have room for themselves and their results.
    const uint64_t fewest = std::min(all.rows, kFewestRows);
    const size_t columns =
        std::clamp<size_t>(less(room, fewest * packing) / (column_bytes + fewest * result_bytes), 1, all.pairs.size());
    for (size_t column = 0; column < all.pairs.size(); column += columns) {
      const auto pairs = all.pairs.subspan(column, std::min(columns, all.pairs.size() - column));
      const bool in_place = pairs.size() == 1;
      const uint64_t for_row = packing + (in_place ? 0 : pairs.size() * result_bytes);
      const uint64_t fitting =
          for_row == 0 ? all.rows
                       : AlignDown(less(room, in_place ? 0 : pairs.size() * column_bytes) / for_row, kFewestRows);
      const uint64_t step = std::clamp(fitting, fewest, all.rows);
      for (uint64_t row = 0; row < all.rows; row += step) {
        ExpertRows rows = all;
        rows.first_row += row;
        rows.rows = std::min(step, all.rows - row);
        rows.data += row * row_bytes;
        rows.pairs = pairs;
        AddPiece(node, rows, scratch.data());
        if (next_ != pieces_.end()) continue;
        if (const ggml_status status = Flush(backend); status != GGML_STATUS_SUCCESS) return status;
      }
    }
  }
  return Flush(backend);
}

ggml_status ExpertProduct::PackInPlace(ggml_backend_t backend, const ggml_tensor& weight, uint8_t* data,
                                       const PackedLayout* layout, std::span<uint8_t> scratch) {
  api_.graph_clear(graph_);
  next_ = pieces_.begin();
  const auto all = static_cast<uint64_t>(weight.ne[1]);
  const uint64_t step = std::clamp(AlignDown(scratch.size() / weight.nb[1], kRowGroup), std::min(all, kRowGroup), all);
  for (uint64_t row = 0; row < all; row += step) {
    const uint64_t rows = std::min(step, all - row);
    uint8_t* const place = data + row * weight.nb[1];
    const uint8_t* const packed = Pack(weight, rows, place, layout, scratch.data());
    ++next_;
    api_.graph_add_node(graph_, next_->move.Node(weight, rows, packed, place, nullptr));
    if (++next_ != pieces_.end()) continue;
    if (const ggml_status status = Flush(backend); status != GGML_STATUS_SUCCESS) return status;
  }
  return Flush(backend);
}

uint64_t ExpertProduct::pack_ns() const {
  uint64_t sum = 0;
  for (const Piece& piece : pieces_) sum += piece.move.nanoseconds();
  return sum;
}

}  // namespace headrace
