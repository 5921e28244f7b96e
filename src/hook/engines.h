// The llama.cpp's in this process. Most have one; a host may close one and open another, also at the same place in
// memory, or have two at a time (a Node.js add-on beside a Python package).
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <set>

#include "base/config.h"
#include "base/status.h"
#include "exec/ggml_api.h"

namespace headrace {

// Thread-safe.
class Engines {
 public:
  using ComputeFunction = ggml_status (*)(ggml_backend_sched_t, ggml_cgraph*);

  // The adapter of the engine that the code at `caller` belongs to. Its functions are looked up anew with each call,
  // since what was there before may have been closed: call it when a model or a cache is made, not for each graph. What
  // the engine lacks of what `config` asks for is said once. Null when the caller uses no ggml. Errors: kUnsupported
  // for one that does not fit; null when that was returned before.
  Result<std::shared_ptr<const GgmlApi>> Find(void* caller, const Config& config);

  // The one found before whose scheduler computes with this function, or null.
  std::shared_ptr<const GgmlApi> With(ComputeFunction compute) const;

 private:
  mutable std::mutex mutex_;  // guards all below
  std::list<std::shared_ptr<const GgmlApi>> engines_;
  std::set<const void*> refused_;  // a function of each
};

}  // namespace headrace
