#include "exec/router_copies.h"

#include <algorithm>
#include <utility>

#include "base/size.h"

namespace headrace {

bool RouterCopies::IsOnDevice(const ggml_tensor& tensor) const {
  return tensor.op == GGML_OP_NONE && tensor.view_src == nullptr && tensor.buffer != nullptr &&
         !api_.backend_buffer_is_host(tensor.buffer);
}

const Weight* RouterCopies::Copy(RouterPath& path) {
  if (path.product == nullptr || !api_.no_choice_of_devices.empty() || !IsOnDevice(*path.product->src[0]))
    return nullptr;
  const Weight* const router = Copy(*path.product->src[0]);
  for (RouterPath::Step& step : path.steps) {
    if (router == nullptr || step.bias == nullptr || !IsOnDevice(*step.bias)) continue;
    const Weight* const bias = Copy(*step.bias);
    if (bias == nullptr) return nullptr;
    step.bias = &bias->tensor;
  }
  return router;
}

const Weight* RouterCopies::Copy(const ggml_tensor& tensor) {
  const auto known = std::find_if(copies_.begin(), copies_.end(), [&](const Copied& copied) {
    return copied.from == &tensor && copied.data == tensor.data && copied.buffer == tensor.buffer;
  });
  if (known != copies_.end()) return &known->weight;
  const uint64_t bytes = api_.nbytes(&tensor), held = AlignUp(bytes, PageBytes());
  if (bytes_ + held > limit_) return nullptr;
  auto storage = Region::Reserve(bytes);
  if (!storage.ok() || !storage->Commit(0, bytes).ok()) return nullptr;
  api_.backend_tensor_get(&tensor, storage->data(), 0, bytes);
  Copied& copied = copies_.emplace_back();
  copied.from = &tensor;
  copied.data = tensor.data;
  copied.buffer = tensor.buffer;
  copied.weight.tensor = tensor;
  copied.weight.tensor.data = storage->data();
  copied.weight.tensor.buffer = nullptr;
  copied.weight.tensor.extra = nullptr;
  copied.weight.cut = CutOf(api_, tensor);
  copied.weight.resident_rows = copied.weight.cut.rows;
  copied.weight.storage = std::move(*storage);
  bytes_ += held;
  return &copied.weight;
}

void RouterCopies::Clear() {
  copies_.clear();
  bytes_ = 0;
}

}  // namespace headrace
