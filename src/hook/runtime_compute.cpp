// Graphs that are computed, and the executor that streams weights for them.
#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>

#include "base/log.h"
#include "hook/runtime.h"

namespace headrace {

// The executor works for one engine at a time, as long as that has a model that streams. Returns an executor that is
// not needed any more: whoever computes with it at present is the last to hold it.
std::shared_ptr<Executor> Runtime::ChooseStreamingEngine() {
  const auto models = models_.mappings().models();
  std::erase_if(streaming_, [&](const auto& mapped) { return !models.contains(mapped.first); });
  if (std::any_of(streaming_.begin(), streaming_.end(),
                  [this](const auto& mapped) { return mapped.second == streaming_engine_; }))
    return nullptr;
  streaming_engine_ = streaming_.empty() ? nullptr : streaming_.begin()->second;
  return std::move(executor_);
}

void Runtime::BeforeAllocation(ggml_backend_sched_t sched, ggml_cgraph* graph,
                               Executor::ComputeFunction compute) noexcept {
  try {
    const auto engine = engines_.With(compute);
    const auto executor = engine == nullptr ? nullptr : ExecutorFor(engine);
    if (executor != nullptr) executor->BeforeAllocation(sched, graph);
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Runtime::ForgetScheduler(ggml_backend_sched_t sched) {
  callbacks_.Forget(sched);
  const std::lock_guard lock(mutex_);
  if (executor_ != nullptr) executor_->ForgetScheduler(sched);
}

ggml_status Runtime::Compute(ggml_backend_sched_t sched, ggml_cgraph* graph,
                             Executor::ComputeFunction compute) noexcept {
  const HostCallback host = callbacks_.Eval(sched);
  const auto engine = engines_.With(compute);
  if (engine == nullptr) return compute(sched, graph);
  if (KvStore* const store = kv_store()) {
    return store->Compute(*engine, sched, graph, host, [&](const HostCallback& callback) {
      return ComputeWeights(engine, sched, graph, compute, callback);
    });
  }
  return ComputeWeights(engine, sched, graph, compute, host);
}

// Null when another engine streams.
std::shared_ptr<Executor> Runtime::ExecutorFor(const std::shared_ptr<const GgmlApi>& engine) {
  const auto in_use = [&]() -> std::optional<std::shared_ptr<Executor>> {
    const std::lock_guard lock(mutex_);
    if (streaming_engine_ != engine) return nullptr;
    return executor_ != nullptr ? std::optional(executor_) : std::nullopt;
  };
  if (auto executor = in_use()) return *executor;
  const std::lock_guard making(making_mutex_);
  if (auto executor = in_use()) return *executor;
  // It holds the engine's adapter: a thread may still compute with it when another engine has its place.
  std::shared_ptr<Executor> executor(
      new Executor(*engine, ConfigNow(), *allowance_, models_.mappings(), stacks_, snapshot_.writer()),
      [engine](Executor* gone) { delete gone; });
  const std::lock_guard lock(mutex_);
  return executor_ = executor;
}

ggml_status Runtime::ComputeWeights(const std::shared_ptr<const GgmlApi>& engine, ggml_backend_sched_t sched,
                                    ggml_cgraph* graph, Executor::ComputeFunction compute, const HostCallback& host) {
  if (!any_streams()) return compute(sched, graph);
  std::shared_ptr<Executor> executor;
  try {
    executor = ExecutorFor(engine);
    if (executor == nullptr) return compute(sched, graph);
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return GGML_STATUS_FAILED;
  }
  return executor->Compute(sched, graph, compute, host);
}

}  // namespace headrace
