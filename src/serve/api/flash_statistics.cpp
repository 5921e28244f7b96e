#include "serve/api/flash_statistics.h"

#include <functional>
#include <iterator>

#include <fmt/format.h>

namespace headrace::serve {
namespace {

using cli::Statistics;

double Seconds(uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

const char* StateName(uint32_t state) {
  switch (state) {
    case Snapshot::kLoading:
      return "loading";
    case Snapshot::kStreaming:
      return "streaming";
    default:
      return "passive";
  }
}

const char* KernelName(uint32_t kernels) {
  switch (kernels) {
    case Snapshot::kPlain:
      return "plain";
    case Snapshot::kRepack:
      return "repack";
    case Snapshot::kMixed:
      return "mixed";
    default:
      return "undecided";
  }
}

struct Metric {
  const char* name;
  const char* type;
  const char* help;
  std::function<double(const Statistics&)> value;
};

const Metric kMetrics[] = {
    {"flash_budget_bytes", "gauge", "Memory for weights that was granted.",
     [](const Statistics& s) { return static_cast<double>(s.budget_bytes); }},
    {"flash_weight_bytes", "gauge", "Weights under management.",
     [](const Statistics& s) { return static_cast<double>(s.weight_bytes); }},
    {"flash_resident_bytes", "gauge", "Weights in memory.",
     [](const Statistics& s) { return static_cast<double>(s.resident_bytes + s.expert_resident_bytes); }},
    {"flash_streamed_bytes_per_pass", "gauge", "Weights that every pass reads.",
     [](const Statistics& s) { return static_cast<double>(s.streamed_bytes_per_pass); }},
    {"flash_read_bytes_total", "counter", "Bytes read from disk.",
     [](const Statistics& s) { return static_cast<double>(s.bytes_read); }},
    {"flash_uploaded_bytes_total", "counter", "Weights copied to devices.",
     [](const Statistics& s) { return static_cast<double>(s.uploaded_bytes); }},
    {"flash_uploaded_from_memory_bytes_total", "counter", "Of these: were in memory.",
     [](const Statistics& s) { return static_cast<double>(s.uploaded_from_memory_bytes); }},
    {"flash_passes_total", "counter", "Passes over the weights.",
     [](const Statistics& s) { return static_cast<double>(s.passes); }},
    {"flash_decode_tokens_total", "counter", "Passes one token wide.",
     [](const Statistics& s) { return static_cast<double>(s.decode_passes); }},
    {"flash_pass_seconds_total", "counter", "Time in passes.", [](const Statistics& s) { return Seconds(s.pass_ns); }},
    {"flash_wait_seconds_total", "counter", "Of that: waiting for the disk.",
     [](const Statistics& s) { return Seconds(s.wait_ns); }},
    {"flash_kernel_seconds_total", "counter", "Of that: in kernels.",
     [](const Statistics& s) { return Seconds(s.kernel_ns); }},
    {"flash_own_seconds_total", "counter", "Of that: in headrace's own code.",
     [](const Statistics& s) { return Seconds(s.own_ns); }},
    {"flash_experts_chosen_total", "counter", "Experts that decode used.",
     [](const Statistics& s) { return static_cast<double>(s.experts_chosen); }},
    {"flash_expert_hits_total", "counter", "Of those: in memory.",
     [](const Statistics& s) { return static_cast<double>(s.expert_hits); }},
    {"flash_reads_failed_total", "counter", "Reads that failed for good.",
     [](const Statistics& s) { return static_cast<double>(s.reads_failed); }},
    {"flash_reads_retried_total", "counter", "Reads that were repeated.",
     [](const Statistics& s) { return static_cast<double>(s.reads_retried); }},
};

// A label's value: backslash, quote and line break are escaped.
std::string Label(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

// Passes by about the same width; those that did not happen are left out.
Json WidthsJson(const Statistics& s) {
  Json widths = Json::array();
  for (const auto& sums : s.widths) {
    if (sums.passes > 0) widths.push_back({{"tokens", sums.tokens}, {"passes", sums.passes}, {"s", Seconds(sums.ns)}});
  }
  return widths;
}

uint64_t Sum(const Statistics& s, uint64_t Statistics::WidthSums::*field) {
  uint64_t sum = 0;
  for (const auto& sums : s.widths) sum += sums.*field;
  return sum;
}

}  // namespace

Json FlashStatisticsJson(const Statistics& s) {
  return {{"state", StateName(s.state)},
          {"kernels", KernelName(s.kernels)},
          {"direct_io", s.direct_io},
          {"budget_bytes", s.budget_bytes},
          {"weight_bytes", s.weight_bytes},
          {"resident_bytes", s.resident_bytes},
          {"resident_target_bytes", s.resident_target_bytes},
          {"streamed_bytes_per_pass", s.streamed_bytes_per_pass},
          {"ring_bytes", s.ring_bytes},
          {"scratch_bytes", s.scratch_bytes},
          {"expert_bytes", s.expert_bytes},
          {"expert_cache_bytes", s.expert_cache_bytes},
          {"expert_resident_bytes", s.expert_resident_bytes},
          {"experts_chosen", s.experts_chosen},
          {"expert_hits", s.expert_hits},
          {"expert_bytes_read", s.expert_bytes_read},
          {"rows_looked_up", s.rows_looked_up},
          {"row_hits", s.row_hits},
          {"row_bytes_read", s.row_bytes_read},
          {"row_memory_bytes", s.row_memory_bytes},
          {"passes", s.passes},
          {"widths", WidthsJson(s)},
          {"disturbed_share", s.disturbed_share()},
          {"bytes_read", s.bytes_read},
          {"uploaded_bytes", s.uploaded_bytes},
          {"uploaded_from_memory_bytes", s.uploaded_from_memory_bytes},
          {"reads_failed", s.reads_failed},
          {"reads_retried", s.reads_retried},
          {"pass_s", Seconds(s.pass_ns)},
          {"wait_s", Seconds(s.wait_ns)},
          {"kernel_s", Seconds(s.kernel_ns)},
          {"repack_s", Seconds(s.repack_ns)},
          {"own_s", Seconds(s.own_ns)},
          {"decode_tokens", s.decode_passes},
          {"decode_s", Seconds(s.decode_ns)},
          {"decode_wait_s", Seconds(s.decode_wait_ns)},
          {"decode_bytes", s.decode_bytes},
          {"kv_ram_bytes", s.kv_ram_bytes},
          {"kv_bytes_read", s.kv_bytes_read},
          {"kv_bytes_written", s.kv_bytes_written},
          {"kv_wait_s", Seconds(s.kv_wait_ns)},
          {"last_error", s.last_error.empty() ? Json() : Json(s.last_error)}};
}

Json FlashRatesJson(const Statistics& before, const Statistics& after, double seconds) {
  // A process that started anew counts from zero.
  const auto grown = [](uint64_t from, uint64_t to) { return to >= from ? to - from : to; };
  const auto per_second = [&](uint64_t from, uint64_t to) {
    return seconds > 0 ? static_cast<double>(grown(from, to)) / seconds : 0;
  };
  const auto share = [&](uint64_t part, uint64_t whole) {
    return whole == 0 ? Json() : Json(static_cast<double>(part) / static_cast<double>(whole));
  };
  const uint64_t decode_ns = grown(before.decode_ns, after.decode_ns);
  const uint64_t tokens = grown(before.decode_passes, after.decode_passes);
  const auto wide = [&](uint64_t Statistics::WidthSums::*field) {
    return grown(Sum(before, field), Sum(after, field));
  };
  return {{"read_bytes_per_s", per_second(before.bytes_read, after.bytes_read)},
          {"upload_bytes_per_s", per_second(before.uploaded_bytes, after.uploaded_bytes)},
          {"passes_per_s", per_second(before.passes, after.passes)},
          {"decode_tokens_per_s", decode_ns == 0 ? Json() : Json(static_cast<double>(tokens) / Seconds(decode_ns))},
          {"tokens_per_pass", share(wide(&Statistics::WidthSums::tokens), wide(&Statistics::WidthSums::passes))},
          {"wait_share", share(grown(before.wait_ns, after.wait_ns), grown(before.pass_ns, after.pass_ns))},
          {"busy_share", std::min(1.0, per_second(before.pass_ns, after.pass_ns) / 1e9)},
          {"expert_hit_share",
           share(grown(before.expert_hits, after.expert_hits), grown(before.experts_chosen, after.experts_chosen))}};
}

std::string RenderMetrics(const std::vector<ModelMetrics>& models) {
  std::string text;
  const auto family = [&](const char* name, const char* type, const char* help, const auto& value) {
    std::string lines;
    for (const ModelMetrics& model : models) {
      if (const auto number = value(model))
        lines += fmt::format("headrace_{}{{model=\"{}\"}} {}\n", name, Label(model.id), *number);
    }
    if (!lines.empty())
      text += fmt::format("# HELP headrace_{0} {2}\n# TYPE headrace_{0} {1}\n{3}", name, type, help, lines);
  };
  using Number = std::optional<double>;
  family("model_loaded", "gauge", "Whether the model answers.",
         [](const ModelMetrics& m) { return Number(m.loaded ? 1 : 0); });
  family("requests", "gauge", "Requests that are being answered.",
         [](const ModelMetrics& m) { return Number(m.requests); });
  family("requests_total", "counter", "Requests since the model was loaded.",
         [](const ModelMetrics& m) { return Number(static_cast<double>(m.requests_in_all)); });
  family("restarts_total", "counter", "Starts after crashes.",
         [](const ModelMetrics& m) { return Number(static_cast<double>(m.restarts)); });
  for (const Metric& metric : kMetrics) {
    family(metric.name, metric.type, metric.help,
           [&](const ModelMetrics& m) { return m.statistics ? Number(metric.value(*m.statistics)) : std::nullopt; });
  }
  return text;
}

}  // namespace headrace::serve
