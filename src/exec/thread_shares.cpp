#include "exec/thread_shares.h"

#include <algorithm>
#include <exception>

#include "base/size.h"
#include "exec/custom_node.h"
#include "plan/residency.h"

namespace headrace {

ThreadShares::ThreadShares(const GgmlApi& api, Workers& workers)
    : api_(api),
      workers_(workers),
      context_(api.init({16 * kKiB, nullptr, true})),
      function_(NewCustomNode(api, context_, &ThreadShares::Run, this)),
      graph_(api.new_graph_custom(context_, 1, false)) {}

ThreadShares::~ThreadShares() { api_.free(context_); }

ggml_status ThreadShares::Multiply(ggml_backend_t backend, const ggml_tensor& node, uint64_t first_row, uint64_t rows,
                                   void* data) {
  node_ = &node;
  first_row_ = first_row;
  rows_ = rows;
  row_bytes_ = node.src[0]->nb[1];
  data_ = static_cast<uint8_t*>(data);
  status_ = GGML_STATUS_SUCCESS;
  api_.graph_clear(graph_);
  api_.graph_add_node(graph_, function_);
  const ggml_status computed = api_.backend_graph_compute(backend, graph_);
  return computed != GGML_STATUS_SUCCESS ? computed : status_.load();
}

void ThreadShares::Run(ggml_tensor*, const ggml_tensor*, int thread, int threads, void* self) {
  auto& shares = *static_cast<ThreadShares*>(self);
  ggml_status status = GGML_STATUS_FAILED;
  try {
    status = shares.MultiplyShare(thread, threads);
  } catch (const std::exception&) {  // no memory: the product has failed
  }
  if (status != GGML_STATUS_SUCCESS) shares.status_ = status;
}

ggml_status ThreadShares::MultiplyShare(int thread, int threads) {
  const uint64_t groups = (rows_ + kRowGroup - 1) / kRowGroup;
  const auto t = static_cast<uint64_t>(thread), n = static_cast<uint64_t>(threads);
  const uint64_t begin = std::min(rows_, groups * t / n * kRowGroup);
  const uint64_t end = std::min(rows_, groups * (t + 1) / n * kRowGroup);
  if (begin == end) return GGML_STATUS_SUCCESS;
  Worker* const worker = workers_.Of(thread);
  if (worker == nullptr) return GGML_STATUS_FAILED;
  return worker->product().Multiply(worker->backend(), *node_, first_row_ + begin, end - begin,
                                    data_ + begin * row_bytes_, nullptr, nullptr);
}

}  // namespace headrace
