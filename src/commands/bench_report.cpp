#include "commands/bench_report.h"

#include <cmath>

#include <fmt/format.h>

#include "base/json.h"
#include "base/size.h"
#include "report/counters.h"
#include "report/text_table.h"

namespace headrace::cli {
namespace {

template <typename T>
std::optional<T> Number(const Json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_number()) return std::nullopt;
  if constexpr (std::is_unsigned_v<T>) {
    if (it->is_number_float() || it->template get<int64_t>() < 0) return std::nullopt;
  }
  return it->template get<T>();
}

// A row of decode alone: the disk's bound is about it.
bool IsDecode(const BenchRow& row) { return row.decode_tokens > 0 && row.prompt_tokens == 0; }

}  // namespace

Result<std::vector<BenchRow>> ParseBench(std::string_view text) {
  const auto unexpected = [](const char* what) {
    return Status(
        Code::kUnsupported,
        fmt::format("llama-bench's output is not understood: {}; run headrace bench --debug to see it", what));
  };
  const Json json = JsonOrNull(text);
  if (!json.is_array()) return unexpected("no JSON array");
  std::vector<BenchRow> rows;
  for (const Json& entry : json) {
    if (!entry.is_object()) return unexpected("a row is not an object");
    const auto prompt = Number<uint64_t>(entry, "n_prompt");
    const auto decode = Number<uint64_t>(entry, "n_gen");
    const auto speed = Number<double>(entry, "avg_ts");
    if (!prompt || !decode || !speed || !std::isfinite(*speed))
      return unexpected("a row has no n_prompt, n_gen and avg_ts");
    rows.push_back({*prompt, *decode, *speed, Number<double>(entry, "stddev_ts").value_or(0)});
  }
  if (rows.empty()) return unexpected("no rows");
  return rows;
}

double BenchReport::bytes_per_token() const {
  const bool counted = statistics.expert_bytes > 0 && statistics.decode_passes > 0;
  return counted ? static_cast<double>(statistics.decode_bytes) / static_cast<double>(statistics.decode_passes)
                 : static_cast<double>(statistics.streamed_bytes_per_pass);
}

double BenchReport::bound() const {
  return bytes_per_token() > 0 && disk_bytes_per_s > 0 ? disk_bytes_per_s / bytes_per_token() : 0;
}

std::string RenderBenchText(const BenchReport& report) {
  using Align = TextTable::Align;
  const Statistics& s = report.statistics;
  std::string text = s.streamed() ? fmt::format("{}: {} resident, {} streamed per pass (budget {})\n", report.model,
                                                FormatSize(s.resident_bytes), FormatSize(s.streamed_bytes_per_pass),
                                                FormatSize(report.budget_bytes))
                                  : fmt::format("{}: {}\n", report.model,
                                                report.on_devices || s.on_devices()
                                                    ? "all layers are on devices, nothing streams once they are loaded"
                                                    : "nothing was streamed");
  for (const BenchWorker& worker : report.workers) {
    text += fmt::format("worker {}: {} of weights, KV cache {}, buffers {}\n", worker.address,
                        FormatSize(worker.memory.weight_bytes), FormatSize(worker.memory.context_bytes),
                        FormatSize(worker.memory.compute_bytes));
  }
  TextTable table({Align::kLeft, Align::kRight, Align::kRight, Align::kRight});
  const double bound = report.bound();
  table.AddRow({"", "tokens/s", bound > 0 ? "disk's limit" : "", bound > 0 ? "reached" : ""});
  for (const BenchRow& row : report.rows) {
    const std::string name = IsDecode(row) ? fmt::format("decode {}", row.decode_tokens)
                             : row.decode_tokens == 0
                                 ? fmt::format("prompt {}", row.prompt_tokens)
                                 : fmt::format("prompt {} + decode {}", row.prompt_tokens, row.decode_tokens);
    const bool bounded = IsDecode(row) && bound > 0;
    table.AddRow({name, fmt::format("{:.2f} ± {:.2f}", row.tokens_per_s, row.deviation),
                  bounded ? fmt::format("{:.2f}", bound) : "",
                  bounded ? fmt::format("{:.0f} %", 100 * row.tokens_per_s / bound) : ""});
  }
  text += table.Render();
  if (bound > 0) {
    text += fmt::format("limit: disk at {:.2f} GB/s / {} per token\n", report.disk_bytes_per_s / 1e9,
                        FormatSize(static_cast<uint64_t>(report.bytes_per_token())));
  }
  return text;
}

std::string RenderBenchJson(const BenchReport& report) {
  const Statistics& s = report.statistics;
  const double bound = report.bound();
  Json rows = Json::array();
  for (const BenchRow& row : report.rows) {
    rows.push_back({{"prompt_tokens", row.prompt_tokens},
                    {"decode_tokens", row.decode_tokens},
                    {"tokens_per_s", row.tokens_per_s},
                    {"deviation", row.deviation},
                    {"limit_tokens_per_s", IsDecode(row) ? NumberOrNull(bound) : Json()},
                    {"share_of_limit", IsDecode(row) && bound > 0 ? Json(row.tokens_per_s / bound) : Json()}});
  }
  Json workers = Json::array();
  for (const BenchWorker& worker : report.workers) {
    workers.push_back({{"address", worker.address},
                       {"weight_bytes", worker.memory.weight_bytes},
                       {"context_bytes", worker.memory.context_bytes},
                       {"compute_bytes", worker.memory.compute_bytes}});
  }
  Json json = CountersJson(s, TimesIn::kSeconds);
  json.update({{"model", report.model},
               {"engine", report.engine_version},
               {"streamed", s.streamed()},
               {"on_devices", report.on_devices || s.on_devices()},
               {"budget_bytes", report.budget_bytes},
               {"disk_bytes_per_s", NumberOrNull(report.disk_bytes_per_s)},
               {"workers", workers},
               {"results", rows}});
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace headrace::cli
