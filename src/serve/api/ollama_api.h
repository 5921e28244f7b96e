// Ollama's API: what its programs ask, answered by what is here. docs/server.md describes it.
#pragma once

#include <string>

#include "http/exchange.h"
#include "serve/api/ollama_pull.h"
#include "serve/api/ollama_request.h"
#include "serve/api/waiting.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {

// All arguments outlive it.
class OllamaApi {
 public:
  OllamaApi(const Executor& executor, const Settings& settings, ModelManager& manager, Downloads& downloads)
      : executor_(executor), settings_(settings), manager_(manager), pull_(settings, manager, downloads) {}

  // Whether the path is one of that API. None of ours (/api/v1/…) is.
  static bool Knows(std::string_view path);
  Task<> Handle(Exchange& exchange);

 private:
  Task<> Tags(Exchange& exchange);
  Task<> Running(Exchange& exchange);
  Task<> Show(Exchange& exchange);
  Task<> Generate(Exchange& exchange);
  Task<> Embed(Exchange& exchange);
  Task<> Compute(Exchange& exchange, OllamaRequest request, std::string id);
  Task<> LoadOnly(Exchange& exchange, OllamaRequest request, std::string id);
  // A loaded model. The wait for it is from `begin` on.
  Task<Result<Lease>> Acquire(Exchange& exchange, std::string id, OllamaOptions options, bool embedding,
                              Waiter* waiter);
  Waiting WaitingFor(Exchange& exchange, const std::string& id, bool stream);
  void KeepLoaded(const std::string& id, const KeepAlive& keep_alive);

  const Executor executor_;
  const Settings& settings_;
  ModelManager& manager_;
  OllamaPull pull_;
};

}  // namespace headrace::serve
