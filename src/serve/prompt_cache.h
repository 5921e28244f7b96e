// Prompts that outlive a model's process: what its slots hold is written to files when it is unloaded, and read back when it
// is loaded (docs/server.md, "Prompts that outlive the process").
#pragma once

#include <cstdint>
#include <string>

#include "serve/load_plan.h"
#include "serve/net.h"
#include "serve/prompt_files.h"
#include "serve/settings.h"

namespace headrace::serve {

// Nothing here can fail: what cannot be written or read is not kept, with a line in the log.
class PromptCache {
 public:
  PromptCache(asio::thread_pool& worker, const Settings& settings)
      : worker_(worker), settings_(settings), files_(settings.prompt_folder, settings.prompt_bytes) {}

  // Of a model that answers nobody now and has `slots` slots.
  Task<> Save(const LoadPlan& plan, std::string socket_path, uint64_t slots);
  Task<> Restore(const LoadPlan& plan, std::string socket_path, uint64_t slots);

 private:
  // Of the model's content and all that decides what its KV cache holds; 0: not to be had.
  uint64_t KeyOf(const LoadPlan& plan) const;

  asio::thread_pool& worker_;
  const Settings& settings_;
  const PromptFiles files_;
};

}  // namespace headrace::serve
