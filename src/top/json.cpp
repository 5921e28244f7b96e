#include <nlohmann/json.hpp>

#include "top/view.h"

namespace headrace::top {
namespace {

using Json = nlohmann::json;

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json OrNull(double value) { return value > 0 ? Json(value) : Json(nullptr); }

Json ToJson(const Row& row) {
  const cli::Statistics& s = row.process.statistics;
  const Rates& r = row.rates;
  return {{"pid", row.process.pid},
          {"program", row.process.program},
          {"model", s.model},
          {"verdict", ToString(row.verdict.limit)},
          {"advice", row.verdict.advice},
          {"interval_s", r.seconds},
          {"tokens_per_s", OrNull(r.tokens_per_s)},
          {"passes_per_s", OrNull(r.passes_per_s)},
          {"disk_bytes_per_s", r.disk_bytes_per_s},
          {"probed_disk_bytes_per_s", OrNull(row.machine.disk_bytes_per_s)},
          {"upload_bytes_per_s", r.upload_bytes_per_s},
          {"busy_share", r.busy_share},
          {"wait_share", r.wait_share},
          {"kernel_share", r.kernel_share},
          {"own_share", r.own_share},
          {"engine_share", r.engine_share},
          {"hit_rate", OrNull(r.hit_rate)},
          {"weight_bytes", s.weight_bytes},
          {"resident_bytes", s.resident_bytes},
          {"resident_target_bytes", s.resident_target_bytes},
          {"streamed_bytes_per_pass", s.streamed_bytes_per_pass},
          {"expert_bytes", s.expert_bytes},
          {"expert_cache_bytes", s.expert_cache_bytes},
          {"expert_resident_bytes", s.expert_resident_bytes},
          {"rows_looked_up", s.rows_looked_up},
          {"row_hits", s.row_hits},
          {"row_bytes_read", s.row_bytes_read},
          {"row_memory_bytes", s.row_memory_bytes},
          {"weights_budget_bytes", s.budget_bytes},
          {"process_limit_bytes", s.process_limit_bytes > 0 ? Json(s.process_limit_bytes) : Json(nullptr)},
          {"process_bytes", s.process_bytes},
          {"passes", s.passes},
          {"tokens", s.tokens},
          {"bytes_read", s.bytes_read},
          {"uploaded_bytes", s.uploaded_bytes},
          {"uploaded_from_memory_bytes", s.uploaded_from_memory_bytes},
          {"pass_ns", s.pass_ns},
          {"wait_ns", s.wait_ns},
          {"kernel_ns", s.kernel_ns},
          {"own_ns", s.own_ns},
          {"errors", s.errors},
          {"reads_failed", s.reads_failed},
          {"reads_retried", s.reads_retried},
          {"last_error", s.last_error.empty() ? Json(nullptr) : Json(s.last_error)}};
}

}  // namespace

std::string RenderJson(const Picture& picture, int64_t time_s) {
  Json processes = Json::array();
  for (const Row& row : picture.rows) processes.push_back(ToJson(row));
  const Json document = {{"version", 1}, {"time", time_s}, {"processes", processes}, {"notes", picture.notes}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace headrace::top
