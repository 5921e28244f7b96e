// LM Studio's REST API (/api/v0/…): its programs' questions, answered by what is here. docs/server.md describes it.
#pragma once

#include <string>

#include "http/exchange.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {

// All arguments outlive it.
class LmStudioApi {
 public:
  LmStudioApi(const Settings& settings, ModelManager& manager) : settings_(settings), manager_(manager) {}

  static bool Knows(std::string_view path) { return path.starts_with("/api/v0/"); }
  Task<> Handle(Exchange& exchange);

 private:
  // One model, or all where `name` is "".
  Task<> Models(Exchange& exchange, std::string name);
  Task<> Compute(Exchange& exchange, std::string path);

  const Settings& settings_;
  ModelManager& manager_;
};

}  // namespace headrace::serve
