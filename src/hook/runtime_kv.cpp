// KV caches that may get a file.
#include <exception>
#include <mutex>

#include "base/log.h"
#include "hook/runtime.h"
#include "memory/available.h"

namespace headrace {
namespace {

uint64_t AutomaticLimitNow() {
  const auto own = ReadProcessMemory(ReadTextFile);
  return AutomaticLimit(FindAvailableMemory(ReadTextFile, ReadAddressLimits()), own);
}

}  // namespace

ggml_backend_buffer_t Runtime::AllocateTensors(ggml_context* context, ggml_backend_buffer_type_t type,
                                               AllocateFunction allocate, void* caller) noexcept {
  if (!keeps_kv_) return allocate(context, type);
  try {
    std::shared_ptr<const GgmlApi> engine;
    {
      const std::lock_guard making(making_mutex_);
      engine = FindEngine(caller);
      if (engine != nullptr && engine->no_kv_files.empty() && kv_store_ == nullptr) {
        WeightsAllowance& allowance = Allowance();
        const uint64_t limit = allowance.process_limit() > 0 ? allowance.process_limit() : AutomaticLimitNow();
        kv_store_ = std::make_unique<KvStore>(ConfigNow(), ConfigNow().KvRam(limit), allowance, snapshot_.writer());
      }
    }
    if (engine == nullptr || !engine->no_kv_files.empty() || !kv_store_->IsKvCache(*engine, context, type))
      return allocate(context, type);
    kv_in_use_ = kv_store_.get();
    const auto in_file = kv_store_->Allocate(*engine, context);
    if (!in_file.ok()) {
      Note(in_file.status());
      return nullptr;
    }
    if (*in_file != nullptr) return *in_file;
    const ggml_backend_buffer_t buffer = allocate(context, type);
    if (buffer != nullptr) kv_store_->Keep(*engine, buffer);
    return buffer;
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return nullptr;
  }
}

}  // namespace headrace
