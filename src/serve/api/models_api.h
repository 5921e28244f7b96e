// /api/v1/models: what there is, loading, unloading, estimates. docs/server.md describes it.
#pragma once

#include "http/exchange.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {

// All arguments outlive it.
class ModelsApi {
 public:
  ModelsApi(const Executor& executor, asio::thread_pool& worker, const Settings& settings, const ConfigStore& store,
            ModelManager& manager)
      : executor_(executor), worker_(worker), settings_(settings), store_(store), manager_(manager) {}

  Task<> List(Exchange& exchange);
  Task<> Load(Exchange& exchange);
  Task<> Unload(Exchange& exchange);
  Task<> Estimate(Exchange& exchange);

 private:
  struct LoadRequest;
  // Reads the body's "model" and settings. Errors: kInvalidArgument, kNotFound.
  Task<Result<LoadRequest>> ReadLoadRequest(const Json& body);
  Task<Reply> LoadNow(LoadRequest request);
  Task<> LoadWithEvents(Exchange& exchange, LoadRequest request);

  const Executor executor_;
  asio::thread_pool& worker_;
  const Settings& settings_;
  const ConfigStore& store_;
  ModelManager& manager_;
};

}  // namespace headrace::serve
