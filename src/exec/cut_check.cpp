#include "exec/cut_check.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/size.h"
#include "exec/trial_product.h"
#include "exec/worker.h"
#include "plan/residency.h"

namespace headrace {
namespace {

// One column; a full group of four and one more: both paths of the wide kernels; one block of AMX's kernels, and two
// with a part of a third.
constexpr std::array<int64_t, 4> kColumns = {1, 5, 32, 67};

// A narrow batch may use the file's layout (null) where a wide one uses the packed one.
std::vector<const PackedLayout*> Layouts(const Weight& weight) {
  std::vector<const PackedLayout*> layouts = {nullptr};
  if (weight.packed != nullptr) layouts.push_back(weight.packed);
  return layouts;
}

bool Compare(const GgmlApi& api, Product& product, ggml_backend_t backend, const Weight& weight,
             const PackedLayout* layout, int64_t rows, int64_t columns) {
  const auto bytes = static_cast<size_t>(rows) * weight.RowBytes(layout);
  TrialProduct trial(api, TileOf(api, weight.tensor, rows, weight.tensor.data, nullptr), columns);
  // Page-aligned, as the real ones are.
  std::vector<uint8_t> memory(bytes + kReadAlignment);
  void* moved = memory.data() + (kReadAlignment - reinterpret_cast<uintptr_t>(memory.data()) % kReadAlignment);
  if (layout != nullptr) PackRowsByEngine(api, weight.tensor, rows, trial.weight.data, moved, *layout);
  if (product.Multiply(backend, trial.node, 0, static_cast<uint64_t>(rows),
                       layout != nullptr ? moved : trial.weight.data, layout, nullptr) != GGML_STATUS_SUCCESS) {
    return false;
  }
  std::vector<float> pieces(trial.result.size());
  trial.node.data = pieces.data();
  const auto group = static_cast<int64_t>(kRowGroup);
  for (int64_t row = 0; row < rows; row += group) {
    uint8_t* from = static_cast<uint8_t*>(trial.weight.data) + static_cast<size_t>(row) * weight.cut.row_bytes;
    const Move move{from, moved};
    if (product.Multiply(backend, trial.node, static_cast<uint64_t>(row),
                         static_cast<uint64_t>(std::min(group, rows - row)), moved, layout,
                         &move) != GGML_STATUS_SUCCESS) {
      return false;
    }
  }
  return std::memcmp(trial.result.data(), pieces.data(), pieces.size() * sizeof(float)) == 0;
}

bool CompareExperts(const GgmlApi& api, ExpertProduct& product, ggml_backend_t backend, const Weight& weight,
                    const PackedLayout* layout, int64_t tokens) {
  const auto group = static_cast<int64_t>(kRowGroup);
  const int64_t rows = std::min(weight.tensor.ne[1], 3 * group), experts = std::min<int64_t>(weight.tensor.ne[2], 2);
  // The first rows of the first experts, one behind the other.
  const size_t row_bytes = weight.tensor.nb[1], matrix_bytes = static_cast<size_t>(rows) * row_bytes;
  std::vector<uint8_t> copies(static_cast<size_t>(experts) * matrix_bytes), packed(copies.size());
  for (int64_t expert = 0; expert < experts; ++expert) {
    std::memcpy(copies.data() + static_cast<size_t>(expert) * matrix_bytes,
                static_cast<const uint8_t*>(weight.tensor.data) + static_cast<size_t>(expert) * weight.tensor.nb[2],
                matrix_bytes);
  }
  if (layout != nullptr) PackRowsByEngine(api, weight.tensor, rows * experts, copies.data(), packed.data(), *layout);
  ggml_tensor source = TileOf(api, weight.tensor, rows, layout != nullptr ? packed.data() : copies.data(), layout);
  source.ne[2] = experts;
  source.nb[3] = source.nb[2] * static_cast<size_t>(experts);

  TrialExperts trial(api, source, tokens);
  if (!product.MultiplyWhole(backend, trial.node)) return false;

  std::vector<float> pieces(trial.result.size());
  trial.node.data = pieces.data();
  const auto choice = RouterChoice::Read(trial.ids, static_cast<uint32_t>(experts));
  if (!choice.ok()) return false;
  std::vector<uint8_t> scratch(ExpertProduct::ScratchBytes(trial.node, tokens));
  for (int64_t expert = 0; expert < experts; ++expert) {
    for (int64_t row = 0; row < rows; row += group) {
      const uint8_t* data =
          copies.data() + static_cast<size_t>(expert) * matrix_bytes + static_cast<size_t>(row) * row_bytes;
      const ExpertRows work{static_cast<uint64_t>(row),
                            static_cast<uint64_t>(std::min(group, rows - row)),
                            data,
                            choice->pairs(static_cast<uint32_t>(expert)),
                            layout,
                            false};
      if (product.Multiply(backend, trial.node, {&work, 1}, scratch) != GGML_STATUS_SUCCESS) return false;
    }
  }
  return std::memcmp(trial.result.data(), pieces.data(), pieces.size() * sizeof(float)) == 0;
}

}  // namespace

bool ExpertPiecesEqualWhole(const GgmlApi& api, ExpertProduct& product, ggml_backend_t backend, const Weight& weight) {
  for (const PackedLayout* layout : Layouts(weight)) {
    for (const int64_t tokens : {1, 11}) {
      if (!CompareExperts(api, product, backend, weight, layout, tokens)) return false;
    }
  }
  return true;
}

// ggml divides the whole into parts of 16 rows and 11 or 12 columns, and a row group into 13 rows for each thread.
bool PlainPiecesEqualWholeOnThreads(const GgmlApi& api, Product& product, const Weight& weight) {
  constexpr int kThreads = 5;
  constexpr int64_t kColumnsOfAll = 34;
  const auto group = static_cast<int64_t>(kRowGroup);
  const ggml_backend_t backend = Workers::NewBackend(api, kThreads);
  if (backend == nullptr) return true;
  const bool equal =
      Compare(api, product, backend, weight, nullptr, std::min(weight.tensor.ne[1], 3 * group), kColumnsOfAll);
  api.backend_free(backend);
  return equal;
}

bool PiecesEqualWhole(const GgmlApi& api, Product& product, ggml_backend_t backend, const Weight& weight) {
  const auto group = static_cast<int64_t>(kRowGroup);
  const int64_t matrix_rows = weight.tensor.ne[1];
  if (!weight.cut.by_rows || matrix_rows <= group) return true;  // never cut within a matrix
  const int64_t rows = matrix_rows >= 3 * group ? 3 * group : matrix_rows;
  for (const PackedLayout* layout : Layouts(weight)) {
    for (size_t i = 0; i < kColumns.size(); ++i) {
      if (Compare(api, product, backend, weight, layout, rows, kColumns[i])) continue;
      if (layout == nullptr || i == 0 || product.ComputesApart(weight.tensor.type, kColumns[i])) return false;
      product.ComputeApart(weight.tensor.type, kColumns[i - 1] + 1);
      if (!Compare(api, product, backend, weight, layout, rows, kColumns[i])) return false;
    }
  }
  return true;
}

}  // namespace headrace
