// /metrics and /api/v1/flash/stats: what the library counts in every loaded model.
#pragma once

#include "http/exchange.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {

class StatsApi {
 public:
  explicit StatsApi(const ModelManager& manager) : manager_(manager) {}

  // Prometheus text.
  Task<> Metrics(Exchange& exchange);
  // An event a second, or every ?interval_ms; one JSON object with ?once=1.
  Task<> FlashStats(Exchange& exchange);
  // Ends the event streams, which have no end of their own.
  void Finish() { finishing_ = true; }

 private:
  const ModelManager& manager_;
  bool finishing_ = false;
};

}  // namespace headrace::serve
