// Requests of Ollama's API that a model answers, in llama-server's words. Pure.
#pragma once

#include <string>

#include "base/json.h"
#include "base/status.h"
#include "serve/api/keep_alive.h"
#include "serve/api/ollama_options.h"

namespace headrace::serve {

struct OllamaRequest {
  enum class Kind { kChat, kGenerate };
  Kind kind = Kind::kChat;
  std::string model;
  bool stream = true;
  bool empty = false;  // no prompt: the model is only loaded, or unloaded with KeepAlive::Kind::kAtOnce
  KeepAlive keep_alive;
  OllamaOptions options;
  std::string path;         // of llama-server
  bool completion = false;  // that path answers as /completion does, not as /v1/chat/completions
  Json body;                // for it
};

// Of POST /api/chat and /api/generate. Errors: kInvalidArgument.
Result<OllamaRequest> ParseOllamaChat(const Json& body);
Result<OllamaRequest> ParseOllamaGenerate(const Json& body);

// "model", or "name" as older clients write it. Error: kInvalidArgument, also where there is none.
Result<std::string> OllamaModelName(const Json& body);

}  // namespace headrace::serve
