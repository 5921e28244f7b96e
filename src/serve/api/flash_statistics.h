// What changes in the counters of models as JSON, and all of them as Prometheus text. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "http/http.h"
#include "report/statistics.h"

namespace headrace::serve {

// What changed between two readings, per second; a ratio is null while nothing happened.
Json FlashRatesJson(const cli::Statistics& before, const cli::Statistics& after, double seconds);

// A label's value for Prometheus: backslash, quote and line break are escaped.
std::string EscapedLabel(const std::string& text);

// One model's line of /metrics.
struct ModelMetrics {
  std::string id;
  bool loaded = false;
  int requests = 0;
  uint64_t requests_in_all = 0;
  uint64_t restarts = 0;
  std::optional<cli::Statistics> statistics;
};
std::string RenderMetrics(const std::vector<ModelMetrics>& models);

}  // namespace headrace::serve
