// What requests and loads were since the server's start, for GET /metrics.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "http/request_record.h"

namespace headrace::serve {

class ModelManager;

// What a path is for, in a word that is a label's value: "generate", "embed", "model" (the rest that a model's process
// answers), "manage" (lists, loads), "page", "monitor" or "other". Pure.
const char* PathClass(const std::string& path);

// Seconds, in buckets from a hundredth of a second to half an hour.
class SecondsHistogram {
 public:
  static constexpr std::array<double, 12> kBounds = {0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 900, 1800};
  void Add(double seconds);
  // `labels`: "class=\"embed\"" or "".
  std::string Render(const std::string& name, const std::string& labels) const;

 private:
  std::array<uint64_t, kBounds.size()> counts_{};  // of each bucket alone
  uint64_t count_ = 0;
  double sum_ = 0;
};

class RequestMetrics {
 public:
  void NoteBegin() { ++in_flight_; }
  void NoteEnd(const RequestRecord& record, Clock::time_point end);
  // Prometheus's text.
  std::string Render() const;

 private:
  struct Tokens {
    uint64_t in = 0, out = 0;
  };
  uint64_t in_flight_ = 0, left_ = 0, bytes_ = 0;
  std::map<std::pair<std::string, int>, uint64_t> requests_;  // by class and status
  std::map<std::string, SecondsHistogram> duration_, first_byte_;
  SecondsHistogram queue_;
  std::map<std::string, Tokens> tokens_;  // by model
};

// The same of the line, and of each model's loads and memory.
std::string RenderModelMetrics(const ModelManager& manager);

}  // namespace headrace::serve
