// /metrics and /api/v1/flash/stats: what the library counts in every loaded model.
#pragma once

#include "http/exchange.h"
#include "serve/api/request_metrics.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {

class StatsApi {
 public:
  StatsApi(const ModelManager& manager, const RequestMetrics& requests) : manager_(manager), requests_(requests) {}

  // Prometheus text.
  Task<> Metrics(Exchange& exchange);
  // An event a second, or every ?interval_ms; one JSON object with ?once=1.
  Task<> FlashStats(Exchange& exchange);
  // Ends the event streams, which have no end of their own.
  void Finish() { finishing_ = true; }

 private:
  const ModelManager& manager_;
  const RequestMetrics& requests_;
  bool finishing_ = false;
};

}  // namespace headrace::serve
