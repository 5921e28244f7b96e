// Products whose bits depend on how the engine divides them among its threads. Kernels for arm64 with i8mm multiply two
// rows and two columns at once, and round differently then; ggml does so where the part of each thread has an even
// number of both. Of a weight as a whole it makes parts of 16 rows, of a few rows as many parts as there are threads.
//
// So each thread multiplies a share of the rows with a backend of its own, which has one thread: ggml then makes parts
// of 16 rows of them too.
#pragma once

#include <atomic>
#include <cstdint>

#include "exec/ggml_api.h"
#include "exec/worker.h"

namespace headrace {

// One thread at a time.
class ThreadShares {
 public:
  // Both outlive it.
  ThreadShares(const GgmlApi& api, Workers& workers);
  ~ThreadShares();
  ThreadShares(const ThreadShares&) = delete;
  ThreadShares& operator=(const ThreadShares&) = delete;

  // As Product::Multiply, of rows in the file's layout that lie at `data` already, by all threads of `backend`.
  ggml_status Multiply(ggml_backend_t backend, const ggml_tensor& node, uint64_t first_row, uint64_t rows, void* data);

 private:
  static void Run(ggml_tensor* result, const ggml_tensor* source, int thread, int threads, void* self);
  ggml_status MultiplyShare(int thread, int threads);

  const GgmlApi& api_;
  Workers& workers_;
  ggml_context* context_;
  ggml_tensor* function_;
  ggml_cgraph* graph_;

  // The product that runs.
  const ggml_tensor* node_ = nullptr;
  uint64_t first_row_ = 0, rows_ = 0, row_bytes_ = 0;
  uint8_t* data_ = nullptr;
  std::atomic<ggml_status> status_{GGML_STATUS_SUCCESS};
};

}  // namespace headrace
