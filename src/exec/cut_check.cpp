#include "exec/cut_check.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "plan/residency.h"

namespace headrace {
namespace {

constexpr int64_t kColumns = 5;  // a full group of four and one more: both paths of the wide kernels

bool Compare(const GgmlApi& api, Product& product, ggml_backend_t backend, const Weight& weight, int64_t rows, int64_t columns) {
  const auto bytes = static_cast<size_t>(rows) * weight.cut.row_bytes;
  ggml_tensor source = TileOf(api, weight.tensor, rows, weight.tensor.data, nullptr);

  std::vector<float> values(static_cast<size_t>(source.ne[0] * columns));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 37 % 101) / 101.0f - 0.5f;
  ggml_tensor right{};
  right.type = GGML_TYPE_F32;
  right.data = values.data();
  std::vector<float> whole(static_cast<size_t>(rows * columns)), pieces(whole.size());
  ggml_tensor node{};
  node.type = GGML_TYPE_F32;
  node.op = GGML_OP_MUL_MAT;
  for (auto [tensor, first] : {std::pair{&right, source.ne[0]}, {&node, rows}}) {
    tensor->ne[0] = first;
    tensor->ne[1] = columns;
    tensor->ne[2] = tensor->ne[3] = 1;
    tensor->nb[0] = sizeof(float);
    tensor->nb[1] = sizeof(float) * static_cast<size_t>(first);
    tensor->nb[2] = tensor->nb[3] = tensor->nb[1] * static_cast<size_t>(columns);
  }
  node.src[0] = &source;
  node.src[1] = &right;

  // Page-aligned, as the real ones are.
  std::vector<uint8_t> memory(bytes + 4096);
  void* packed = memory.data() + (4096 - reinterpret_cast<uintptr_t>(memory.data()) % 4096);
  node.data = whole.data();
  if (weight.packed != nullptr) PackRows(api, weight.tensor, rows, source.data, packed, weight.packed);
  if (product.Multiply(backend, node, 0, static_cast<uint64_t>(rows), weight.packed != nullptr ? packed : source.data,
                       weight.packed, nullptr) != GGML_STATUS_SUCCESS) {
    return false;
  }
  node.data = pieces.data();
  const auto group = static_cast<int64_t>(kRowGroup);
  for (int64_t row = 0; row < rows; row += group) {
    uint8_t* from = static_cast<uint8_t*>(source.data) + static_cast<size_t>(row) * weight.cut.row_bytes;
    const Move move{from, packed};
    if (product.Multiply(backend, node, static_cast<uint64_t>(row), static_cast<uint64_t>(std::min(group, rows - row)),
                         packed, weight.packed, &move) != GGML_STATUS_SUCCESS) {
      return false;
    }
  }
  return std::memcmp(whole.data(), pieces.data(), whole.size() * sizeof(float)) == 0;
}

}  // namespace

bool PiecesEqualWhole(const GgmlApi& api, Product& product, ggml_backend_t backend, const Weight& weight) {
  const auto group = static_cast<int64_t>(kRowGroup);
  const int64_t matrix_rows = weight.tensor.ne[1];
  if (!weight.cut.by_rows || matrix_rows <= group) return true;  // never cut within a matrix
  const int64_t rows = matrix_rows >= 3 * group ? 3 * group : matrix_rows;
  return Compare(api, product, backend, weight, rows, 1) && Compare(api, product, backend, weight, rows, kColumns);
}

}  // namespace headrace
