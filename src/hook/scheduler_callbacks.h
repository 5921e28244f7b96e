// The callbacks that the host gave its schedulers. Ours take their place while weights stream, and ask them.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "exec/callback_pass.h"
#include "ggml-backend.h"

namespace headrace {

// Is asked before a weight is copied to a device.
struct CopyCallback {
  ggml_backend_sched_copy_callback function = nullptr;
  void* user_data = nullptr;
};

// Thread-safe.
class SchedulerCallbacks {
 public:
  // Is asked about each node that is computed.
  void SetEval(ggml_backend_sched_t sched, HostCallback callback);
  HostCallback Eval(ggml_backend_sched_t sched) const;

  // Keeps it; the address stays until the scheduler is forgotten.
  CopyCallback* KeepCopy(ggml_backend_sched_t sched, CopyCallback callback);
  // Whether one was kept: only such a scheduler copies weights that stream.
  bool KeepsCopy(ggml_backend_sched_t sched) const;

  void Forget(ggml_backend_sched_t sched);

 private:
  mutable std::mutex mutex_;  // guards all below
  std::unordered_map<ggml_backend_sched_t, HostCallback> eval_;
  std::unordered_map<ggml_backend_sched_t, std::unique_ptr<CopyCallback>> copy_;
};

}  // namespace headrace
