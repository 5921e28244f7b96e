#include "exec/cut_check.h"

#include <algorithm>
#include <array>
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

void Describe(ggml_tensor& tensor, ggml_type type, size_t element_bytes, void* data, std::array<int64_t, 3> shape) {
  tensor.type = type;
  tensor.data = data;
  tensor.ne[3] = 1;
  tensor.nb[0] = element_bytes;
  for (size_t i = 0; i < 3; ++i) {
    tensor.ne[i] = shape[i];
    tensor.nb[i + 1] = tensor.nb[i] * static_cast<size_t>(shape[i]);
  }
}

bool CompareExperts(const GgmlApi& api, ExpertProduct& product, ggml_backend_t backend, const Weight& weight,
                    ggml_backend_buffer_t layout, int64_t tokens) {
  const auto group = static_cast<int64_t>(kRowGroup);
  const int64_t rows = std::min(weight.tensor.ne[1], 3 * group), experts = std::min<int64_t>(weight.tensor.ne[2], 2);
  // The first rows of the first experts, one behind the other.
  const size_t row_bytes = weight.tensor.nb[1], matrix_bytes = static_cast<size_t>(rows) * row_bytes;
  std::vector<uint8_t> copies(static_cast<size_t>(experts) * matrix_bytes), packed(copies.size());
  for (int64_t expert = 0; expert < experts; ++expert) {
    std::memcpy(copies.data() + static_cast<size_t>(expert) * matrix_bytes,
                static_cast<const uint8_t*>(weight.tensor.data) + static_cast<size_t>(expert) * weight.tensor.nb[2], matrix_bytes);
  }
  if (layout != nullptr) PackRows(api, weight.tensor, rows * experts, copies.data(), packed.data(), layout);
  ggml_tensor source = TileOf(api, weight.tensor, rows, layout != nullptr ? packed.data() : copies.data(), layout);
  source.ne[2] = experts;
  source.nb[3] = source.nb[2] * static_cast<size_t>(experts);

  std::vector<float> values(static_cast<size_t>(source.ne[0] * tokens));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 37 % 101) / 101.0f - 0.5f;
  std::vector<int32_t> choices(static_cast<size_t>(experts * tokens));  // each token all of them, in changing order
  for (size_t i = 0; i < choices.size(); ++i) {
    const auto n = static_cast<size_t>(experts);
    choices[i] = static_cast<int32_t>((i % n + i / n) % n);
  }
  std::vector<float> whole(static_cast<size_t>(rows * experts * tokens)), pieces(whole.size());
  ggml_tensor columns{}, ids{}, node{};
  Describe(columns, GGML_TYPE_F32, sizeof(float), values.data(), {source.ne[0], 1, tokens});
  Describe(ids, GGML_TYPE_I32, sizeof(int32_t), choices.data(), {experts, tokens, 1});
  Describe(node, GGML_TYPE_F32, sizeof(float), whole.data(), {rows, experts, tokens});
  node.op = GGML_OP_MUL_MAT_ID;
  node.flags = GGML_TENSOR_FLAG_COMPUTE;
  node.src[0] = &source;
  node.src[1] = &columns;
  node.src[2] = &ids;
  if (!product.MultiplyWhole(backend, node)) return false;

  node.data = pieces.data();
  const auto choice = RouterChoice::Read(ids, static_cast<uint32_t>(experts));
  if (!choice.ok()) return false;
  std::vector<uint8_t> scratch(ExpertProduct::ScratchBytes(node, tokens));
  for (int64_t expert = 0; expert < experts; ++expert) {
    for (int64_t row = 0; row < rows; row += group) {
      const uint8_t* data = copies.data() + static_cast<size_t>(expert) * matrix_bytes + static_cast<size_t>(row) * row_bytes;
      const ExpertRows work{static_cast<uint64_t>(row), static_cast<uint64_t>(std::min(group, rows - row)), data,
                            choice->pairs(static_cast<uint32_t>(expert)), layout, false};
      if (product.Multiply(backend, node, {&work, 1}, scratch) != GGML_STATUS_SUCCESS) return false;
    }
  }
  return std::memcmp(whole.data(), pieces.data(), whole.size() * sizeof(float)) == 0;
}

}  // namespace

bool ExpertPiecesEqualWhole(const GgmlApi& api, ExpertProduct& product, ggml_backend_t backend, const Weight& weight) {
  // A narrow batch may use the file's layout where a wide one uses the packed one.
  for (ggml_backend_buffer_t layout : {static_cast<ggml_backend_buffer_t>(nullptr), weight.packed}) {
    for (const int64_t tokens : {1, 11}) {
      if (!CompareExperts(api, product, backend, weight, layout, tokens)) return false;
    }
  }
  return true;
}

bool PiecesEqualWhole(const GgmlApi& api, Product& product, ggml_backend_t backend, const Weight& weight) {
  const auto group = static_cast<int64_t>(kRowGroup);
  const int64_t matrix_rows = weight.tensor.ne[1];
  if (!weight.cut.by_rows || matrix_rows <= group) return true;  // never cut within a matrix
  const int64_t rows = matrix_rows >= 3 * group ? 3 * group : matrix_rows;
  return Compare(api, product, backend, weight, rows, 1) && Compare(api, product, backend, weight, rows, kColumns);
}

}  // namespace headrace
