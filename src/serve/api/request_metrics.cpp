#include "serve/api/request_metrics.h"

#include <algorithm>

#include <fmt/format.h>

#include "http/web_files.h"
#include "serve/api/endpoints.h"
#include "serve/api/flash_statistics.h"
#include "serve/api/token_need.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {
namespace {

double Seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

std::string Head(const char* name, const char* type, const char* help) {
  return fmt::format("# HELP headrace_{0} {2}\n# TYPE headrace_{0} {1}\n", name, type, help);
}

std::string Single(const char* name, const char* type, const char* help, uint64_t value) {
  return Head(name, type, help) + fmt::format("headrace_{} {}\n", name, value);
}

// A line for each element; nothing where there is none.
template <typename Map, typename Value>
std::string OfEachModel(const char* name, const char* type, const char* help, const Map& map, const Value& value) {
  std::string text = map.empty() ? "" : Head(name, type, help);
  for (const auto& [id, each] : map)
    text += fmt::format("headrace_{}{{model=\"{}\"}} {}\n", name, EscapedLabel(id), value(each));
  return text;
}

std::string OfEachClass(const char* name, const char* help, const std::map<std::string, SecondsHistogram>& map) {
  std::string text = map.empty() ? "" : Head(name, "histogram", help);
  for (const auto& [of_class, histogram] : map)
    text += histogram.Render(std::string("headrace_") + name, fmt::format("class=\"{}\"", of_class));
  return text;
}

}  // namespace

const char* PathClass(const std::string& path) {
  constexpr std::string_view kLmStudio = "/api/v0/";
  if (FindWebFile(path) != nullptr) return "page";
  const bool lm_studio = path.starts_with(kLmStudio);
  const std::string model_path = lm_studio ? "/v1/" + path.substr(kLmStudio.size()) : path;
  if (path == "/api/chat" || path == "/api/generate" || Generates(model_path)) return "generate";
  if (path == "/metrics" || path == "/health" || path == "/v1/health" || path.starts_with("/api/v1/flash/"))
    return "monitor";
  if (path.starts_with("/api/embed") || (EndpointOf(model_path).posted && (path.find("embed") != std::string::npos ||
                                                                           path.find("rerank") != std::string::npos)))
    return "embed";
  if (EndpointOf(model_path).posted) return "model";
  if (path.starts_with("/api/") || path == "/models" || path == "/v1/models" || path.starts_with("/v1/models/"))
    return "manage";
  return "other";
}

void SecondsHistogram::Add(double seconds) {
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  if (bound != kBounds.end()) ++counts_[static_cast<size_t>(bound - kBounds.begin())];
  ++count_;
  sum_ += seconds;
}

std::string SecondsHistogram::Render(const std::string& name, const std::string& labels) const {
  const std::string before = labels.empty() ? "" : labels + ",";
  const std::string all = labels.empty() ? "" : "{" + labels + "}";
  std::string text;
  uint64_t sum = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    sum += counts_[i];
    text += fmt::format("{}_bucket{{{}le=\"{}\"}} {}\n", name, before, kBounds[i], sum);
  }
  text += fmt::format("{}_bucket{{{}le=\"+Inf\"}} {}\n", name, before, count_);
  return text + fmt::format("{0}_sum{1} {2}\n{0}_count{1} {3}\n", name, all, sum_, count_);
}

void RequestMetrics::NoteEnd(const RequestRecord& record, Clock::time_point end) {
  --in_flight_;
  const char* of_class = PathClass(record.path);
  ++requests_[{of_class, record.status}];
  bytes_ += record.bytes;
  left_ += record.gone ? 1 : 0;
  duration_[of_class].Add(Seconds(end - record.begin));
  if (record.first_byte) first_byte_[of_class].Add(Seconds(*record.first_byte - record.begin));
  if (record.model.empty()) return;
  queue_.Add(Seconds(record.computed_from.value_or(end) - record.begin));
  tokens_[record.model].in += record.tokens_in.value_or(0);
  tokens_[record.model].out += record.tokens_out.value_or(0);
}

std::string RequestMetrics::Render() const {
  std::string text =
      Single("http_requests_in_flight", "gauge", "Requests that are being answered, this one too.", in_flight_);
  if (!requests_.empty()) text += Head("http_requests_total", "counter", "Requests that were answered.");
  for (const auto& [key, count] : requests_)
    text +=
        fmt::format("headrace_http_requests_total{{class=\"{}\",status=\"{}\"}} {}\n", key.first, key.second, count);
  text += Single("http_sent_bytes_total", "counter", "Bytes of answers' bodies.", bytes_);
  text += Single("http_clients_left_total", "counter", "Clients that left before the end of their answer.", left_);
  text += OfEachClass("http_request_duration_seconds", "From the whole request to the end of its answer.", duration_);
  text +=
      OfEachClass("http_first_byte_seconds", "From the whole request to the first byte of its answer.", first_byte_);
  text += Head("queue_seconds", "histogram", "From the whole request until a model's process got it, loads too.");
  text += queue_.Render("headrace_queue_seconds", "");
  text += OfEachModel("prompt_tokens_total", "counter", "Tokens of prompts and inputs.", tokens_,
                      [](const Tokens& tokens) { return tokens.in; });
  text += OfEachModel("answer_tokens_total", "counter", "Tokens of answers.", tokens_,
                      [](const Tokens& tokens) { return tokens.out; });
  return text;
}

std::string RenderModelMetrics(const ModelManager& manager) {
  const auto& loads = manager.history().sums();
  const auto& models = manager.models();
  return Single("requests_waiting", "gauge", "Requests that wait for a model.", manager.line_size()) +
         OfEachModel("model_loads_total", "counter", "Loads that worked.", loads,
                     [](const LoadSums& sums) { return sums.loads; }) +
         OfEachModel("model_loads_failed_total", "counter", "Loads that did not work.", loads,
                     [](const LoadSums& sums) { return sums.failures; }) +
         OfEachModel("model_load_seconds_total", "counter", "Time that loads took.", loads,
                     [](const LoadSums& sums) { return sums.seconds; }) +
         OfEachModel("model_evictions_total", "counter", "Unloaded to make room, or after --ttl.", loads,
                     [](const LoadSums& sums) { return sums.evictions; }) +
         OfEachModel("model_granted_bytes", "gauge", "Memory that its process may hold.", models,
                     [](const ModelPtr& model) { return model->plan().granted_bytes; }) +
         OfEachModel("model_memory_bytes", "gauge", "Memory that its process holds.", models,
                     [](const ModelPtr& model) { return model->HeldBytes(); });
}

}  // namespace headrace::serve
