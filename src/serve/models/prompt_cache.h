// Prompts that outlive a model's process: what its slots hold is written to files when it is unloaded, and read back
// when it is loaded (docs/server.md, "Prompts that outlive the process").
#pragma once

#include <cstdint>
#include <string>

#include "http/http.h"
#include "http/net.h"
#include "serve/models/load_plan.h"
#include "serve/models/prompt_files.h"
#include "serve/models/settings.h"

namespace headrace::serve {

// Nothing here can fail: what cannot be written or read is not kept, with a line in the log.
class PromptCache {
 public:
  PromptCache(asio::thread_pool& worker, const Settings& settings)
      : worker_(worker), settings_(settings), files_(settings.prompt_folder, settings.prompt_bytes) {}

  // Of a model that answers nobody now and has `slots` slots; what is not written before `limit` is lost. `scales` is
  // what Adapters said when it had just been started: a slot whose last request set others holds what nobody else can
  // use.
  Task<> Save(const LoadPlan& plan, std::string socket_path, uint64_t slots, Json scales, Clock::time_point limit);
  // The adapters that are in use, with their scales; null where there are none, or nothing is kept.
  Task<Json> Adapters(const LoadPlan& plan, std::string socket_path);
  Task<> Restore(const LoadPlan& plan, std::string socket_path, uint64_t slots);

 private:
  // Of all that decides what its KV cache holds: the model's content, adapters and control vectors byte by byte, the
  // context, types, options, variables of the engine, its release, and the kernels; 0: not to be had.
  uint64_t KeyOf(const LoadPlan& plan) const;

  asio::thread_pool& worker_;
  const Settings& settings_;
  const PromptFiles files_;
};

}  // namespace headrace::serve
