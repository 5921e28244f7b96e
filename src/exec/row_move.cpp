#include "exec/row_move.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "exec/custom_node.h"
#include "plan/residency.h"

namespace headrace {

RowMove::RowMove(const GgmlApi& api, ggml_context* context)
    : api_(api), node_(NewCustomNode(api, context, &RowMove::Run, this)) {}

ggml_tensor* RowMove::Node(const ggml_tensor& weight, uint64_t rows, const void* from, void* to,
                           const PackedLayout* packed) {
  weight_ = &weight;
  rows_ = rows;
  row_bytes_ = api_.row_size(weight.type, weight.ne[0]);
  from_ = static_cast<const uint8_t*>(from);
  to_ = static_cast<uint8_t*>(to);
  packed_ = packed;
  return node_;
}

void RowMove::Run(ggml_tensor*, const ggml_tensor*, int thread, int threads, void* self) {
  RowMove& move = *static_cast<RowMove*>(self);
  const auto start = std::chrono::steady_clock::now();
  const uint64_t groups = (move.rows_ + kRowGroup - 1) / kRowGroup;
  const auto t = static_cast<uint64_t>(thread), n = static_cast<uint64_t>(threads);
  const uint64_t begin = std::min(move.rows_, groups * t / n * kRowGroup);
  const uint64_t end = std::min(move.rows_, groups * (t + 1) / n * kRowGroup);
  if (begin < end) {
    const uint8_t* from = move.from_ + begin * move.row_bytes_;
    uint8_t* to = move.to_ + begin * (move.packed_ != nullptr ? move.packed_->row_bytes : move.row_bytes_);
    if (move.packed_ != nullptr) {
      PackRows(move.api_, *move.weight_, static_cast<int64_t>(end - begin), from, to, *move.packed_);
    } else {
      std::memcpy(to, from, (end - begin) * move.row_bytes_);
    }
  }
  if (thread == 0) move.nanoseconds_ += static_cast<uint64_t>((std::chrono::steady_clock::now() - start).count());
}

}  // namespace headrace
