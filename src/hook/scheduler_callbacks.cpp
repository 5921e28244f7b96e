#include "hook/scheduler_callbacks.h"

namespace headrace {

void SchedulerCallbacks::SetEval(ggml_backend_sched_t sched, HostCallback callback) {
  const std::lock_guard lock(mutex_);
  eval_[sched] = callback;
}

HostCallback SchedulerCallbacks::Eval(ggml_backend_sched_t sched) const {
  const std::lock_guard lock(mutex_);
  const auto it = eval_.find(sched);
  return it == eval_.end() ? HostCallback() : it->second;
}

CopyCallback* SchedulerCallbacks::KeepCopy(ggml_backend_sched_t sched, CopyCallback callback) {
  const std::lock_guard lock(mutex_);
  auto& kept = copy_[sched];
  if (kept == nullptr) kept = std::make_unique<CopyCallback>();
  *kept = callback;
  return kept.get();
}

bool SchedulerCallbacks::KeepsCopy(ggml_backend_sched_t sched) const {
  const std::lock_guard lock(mutex_);
  return copy_.contains(sched);
}

void SchedulerCallbacks::Forget(ggml_backend_sched_t sched) {
  const std::lock_guard lock(mutex_);
  eval_.erase(sched);
  copy_.erase(sched);
}

}  // namespace headrace
