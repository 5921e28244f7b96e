// Multiplies on one thread. The engine's threads that compute a node of ours (see GraphPass) each have one: a CPU
// backend of its own with a single thread, so that no other thread is started or waited for.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "exec/ggml_api.h"
#include "exec/product.h"
#include "exec/slot_product.h"

namespace headrace {

// One thread at a time.
class Worker {
 public:
  // Owns `backend`, not null.
  Worker(const GgmlApi& api, ApartTypes& apart, ggml_backend_t backend)
      : api_(api), backend_(backend), product_(api, apart), slots_(api) {}
  ~Worker() { api_.backend_free(backend_); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  ggml_backend_t backend() const { return backend_; }
  Product& product() { return product_; }
  SlotProduct& slots() { return slots_; }
  // Memory of that size at least, until the next call: a few columns.
  std::span<uint8_t> Scratch(uint64_t bytes) {
    if (scratch_.size() < bytes) scratch_.resize(bytes);
    return scratch_;
  }
  uint64_t move_ns() const { return product_.move_ns(); }

 private:
  const GgmlApi& api_;
  const ggml_backend_t backend_;
  Product product_;
  SlotProduct slots_;
  std::vector<uint8_t> scratch_;
};

// Thread-safe.
class Workers {
 public:
  // Both outlive it.
  Workers(const GgmlApi& api, ApartTypes& apart) : api_(api), apart_(apart) {}

  // The worker of the engine's thread with that number, made when it is asked for the first time. Null: the engine
  // makes no more backends.
  Worker* Of(int thread);
  // A CPU backend of so many threads that no host has a part in, which its caller frees; null: the engine makes none.
  static ggml_backend_t NewBackend(const GgmlApi& api, int threads);
  // Time that moves of rows took, on the first thread. While none is at work.
  uint64_t move_ns() const { return workers_.empty() || workers_[0] == nullptr ? 0 : workers_[0]->move_ns(); }

 private:
  const GgmlApi& api_;
  ApartTypes& apart_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> workers_;  // guarded by mutex_
};

}  // namespace headrace
