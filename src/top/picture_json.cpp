#include "report/counters.h"
#include "top/view.h"

namespace headrace::top {
namespace {

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json OrNull(double value) { return value > 0 ? Json(value) : Json(nullptr); }

Json ToJson(const Row& row) {
  const cli::Statistics& s = row.process.statistics;
  const Rates& r = row.rates;
  Json json = cli::CountersJson(s, cli::TimesIn::kNanoseconds);
  json.update({{"pid", row.process.pid},
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
               {"weights_budget_bytes", s.budget_bytes},
               {"process_limit_bytes", s.process_limit_bytes > 0 ? Json(s.process_limit_bytes) : Json(nullptr)}});
  return json;
}

}  // namespace

std::string RenderJson(const Picture& picture, int64_t time_s) {
  Json processes = Json::array();
  for (const Row& row : picture.rows) processes.push_back(ToJson(row));
  const Json document = {{"version", 1}, {"time", time_s}, {"processes", processes}, {"notes", picture.notes}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace headrace::top
