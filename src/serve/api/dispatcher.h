// Finds who answers a request: the page, our own API, another one that we speak, or a model.
#pragma once

#include <functional>
#include <utility>

#include "http/exchange.h"
#include "serve/api/hub_api.h"
#include "serve/api/lmstudio_api.h"
#include "serve/api/models_api.h"
#include "serve/api/ollama_api.h"
#include "serve/api/stats_api.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {

// All arguments outlive it. `stop` ends the server, `now` or when its requests have finished.
class Dispatcher {
 public:
  Dispatcher(ModelManager& manager, ModelsApi& models, HubApi& hub, StatsApi& stats, OllamaApi& ollama,
             LmStudioApi& lm_studio, std::function<void(bool now)> stop)
      : manager_(manager),
        models_(models),
        hub_(hub),
        stats_(stats),
        ollama_(ollama),
        lm_studio_(lm_studio),
        stop_(std::move(stop)) {}

  Task<> Handle(Exchange& exchange);

 private:
  // False when the path is none of ours.
  Task<bool> HandleOwn(Exchange& exchange);
  Task<> HandleModel(Exchange& exchange);
  // The id of the model that a request is for, which may not be loaded yet. Errors: kInvalidArgument, kNotFound.
  Task<Result<std::string>> ModelFor(Exchange& exchange);
  // Without loading it. Errors: kNotFound, kCancelled.
  Result<Lease> LeaseLoaded(const std::string& id) const;
  Task<> Stop(Exchange& exchange);
  Task<> OpenAiModels(Exchange& exchange, std::string name);

  ModelManager& manager_;
  ModelsApi& models_;
  HubApi& hub_;
  StatsApi& stats_;
  OllamaApi& ollama_;
  LmStudioApi& lm_studio_;
  const std::function<void(bool)> stop_;
};

}  // namespace headrace::serve
