#include "exec/column_copy.h"

#include <cstring>

#include "exec/custom_node.h"

namespace headrace {

uint8_t* ColumnAt(const ggml_tensor& tensor, const ExpertPair& pair) {
  // One column for all the experts of a token, or one for each.
  const auto use = static_cast<size_t>(pair.use % tensor.ne[1]);
  return static_cast<uint8_t*>(tensor.data) + use * tensor.nb[1] + static_cast<size_t>(pair.token) * tensor.nb[2];
}

uint64_t ColumnBytes(const ggml_tensor& tensor) { return static_cast<uint64_t>(tensor.ne[0]) * tensor.nb[0]; }

ColumnCopy::ColumnCopy(const GgmlApi& api, ggml_context* context)
    : node_(NewCustomNode(api, context, &ColumnCopy::Run, this)) {}

ggml_tensor* ColumnCopy::Gather(const ggml_tensor& tensor, std::span<const ExpertPair> pairs, uint64_t bytes,
                                uint8_t* consecutive) {
  Scatter(tensor, pairs, 0, bytes, consecutive);
  gather_ = true;
  return node_;
}

ggml_tensor* ColumnCopy::Scatter(const ggml_tensor& tensor, std::span<const ExpertPair> pairs, uint64_t offset,
                                 uint64_t bytes, uint8_t* consecutive) {
  tensor_ = &tensor;
  pairs_ = pairs;
  offset_ = offset;
  bytes_ = bytes;
  consecutive_ = consecutive;
  gather_ = false;
  return node_;
}

void ColumnCopy::Run(ggml_tensor*, const ggml_tensor*, int thread, int threads, void* self) {
  const ColumnCopy& copy = *static_cast<const ColumnCopy*>(self);
  const auto t = static_cast<size_t>(thread), n = static_cast<size_t>(threads);
  for (size_t i = copy.pairs_.size() * t / n; i < copy.pairs_.size() * (t + 1) / n; ++i) {
    uint8_t* const strided = ColumnAt(*copy.tensor_, copy.pairs_[i]) + copy.offset_;
    uint8_t* const consecutive = copy.consecutive_ + i * copy.bytes_;
    copy.gather_ ? std::memcpy(consecutive, strided, copy.bytes_) : std::memcpy(strided, consecutive, copy.bytes_);
  }
}

}  // namespace headrace
