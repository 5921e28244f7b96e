// "options" of Ollama's API in llama-server's words. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace headrace::serve {

struct OllamaOptions {
  Json sampling = Json::object();       // members of a request to llama-server, but for the limit
  std::optional<int64_t> limit;         // num_predict: tokens of the answer; none: no limit
  std::optional<uint64_t> context;      // num_ctx: tokens, at least
  Json configuration = Json::object();  // how the model is to be loaded: keys of ModelConfig
  std::vector<std::string> unknown;     // names that nobody knows: left out
};

// What only says how Ollama itself runs a model (num_gpu, num_thread, use_mmap, …) is left out: headrace decides that.
// Errors: kInvalidArgument.
Result<OllamaOptions> ParseOllamaOptions(const Json& options);

}  // namespace headrace::serve
