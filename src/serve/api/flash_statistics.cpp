#include "serve/api/flash_statistics.h"

#include <algorithm>

#include <fmt/format.h>

#include "report/counters.h"

namespace headrace::serve {
namespace {

using cli::Seconds;
using cli::Statistics;

uint64_t Sum(const Statistics& s, uint64_t Statistics::WidthSums::*field) {
  uint64_t sum = 0;
  for (const auto& sums : s.widths) sum += sums.*field;
  return sum;
}

}  // namespace

std::string EscapedLabel(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return escaped;
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
        lines += fmt::format("headrace_{}{{model=\"{}\"}} {}\n", name, EscapedLabel(model.id), *number);
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
  for (const cli::Counter& counter : cli::Counters()) {
    const std::string name = std::string("flash_") + counter.metric, help = std::string(counter.help) + ".";
    family(name.c_str(), counter.kind == cli::Counter::kSum ? "counter" : "gauge", help.c_str(),
           [&](const ModelMetrics& m) {
             if (!m.statistics) return Number();
             const uint64_t value = *m.statistics.*counter.value;
             return Number(counter.unit == cli::Counter::kTime ? Seconds(value) : static_cast<double>(value));
           });
  }
  const auto of_drives = [&](const char* name, const char* type, const char* help,
                             uint64_t cli::Statistics::Drive::*value) {
    std::string lines;
    for (const ModelMetrics& model : models) {
      if (!model.statistics) continue;
      for (const auto& drive : model.statistics->drives) {
        lines += fmt::format("headrace_{}{{model=\"{}\",drive=\"{}\"}} {}\n", name, EscapedLabel(model.id),
                             EscapedLabel(drive.Name()), drive.*value);
      }
    }
    if (!lines.empty())
      text += fmt::format("# HELP headrace_{0} {2}\n# TYPE headrace_{0} {1}\n{3}", name, type, help, lines);
  };
  of_drives("flash_drive_read_bytes_total", "counter", "Bytes of weights read from a drive, if there are mirrors.",
            &cli::Statistics::Drive::bytes_read);
  of_drives("flash_drive_bytes_per_second", "gauge", "What the drive gives while it reads.",
            &cli::Statistics::Drive::bytes_per_s);
  of_drives("flash_drive_reads_failed_total", "counter", "Reads that failed on a drive.",
            &cli::Statistics::Drive::reads_failed);
  family("flash_resident_bytes", "gauge", "Weights in memory, experts included.", [](const ModelMetrics& m) {
    if (!m.statistics) return Number();
    return Number(static_cast<double>(m.statistics->resident_bytes + m.statistics->expert_resident_bytes));
  });
  return text;
}

}  // namespace headrace::serve
