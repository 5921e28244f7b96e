#include "serve/api/request_metrics.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

TEST(RequestMetrics, PathsHaveFewClasses) {
  for (const auto& [path, of_class] : std::map<std::string, std::string>{{"/v1/chat/completions", "generate"},
                                                                         {"/api/chat", "generate"},
                                                                         {"/api/v0/completions", "generate"},
                                                                         {"/api/embed", "embed"},
                                                                         {"/v1/embeddings", "embed"},
                                                                         {"/v1/rerank", "embed"},
                                                                         {"/tokenize", "model"},
                                                                         {"/api/tags", "manage"},
                                                                         {"/v1/models/a", "manage"},
                                                                         {"/metrics", "monitor"},
                                                                         {"/", "page"},
                                                                         {"/wp-admin/rerank", "other"},
                                                                         {"", "other"}})
    EXPECT_EQ(PathClass(path), of_class) << path;
}

TEST(RequestMetrics, CountsWhatWasAnswered) {
  RequestMetrics metrics;
  RequestRecord record;
  record.path = "/v1/completions";
  record.status = 200;
  record.bytes = 10;
  record.model = "a\"\\\n";
  record.tokens_in = 5;
  record.tokens_out = 7;
  record.computed_from = record.begin + std::chrono::milliseconds(500);
  record.first_byte = record.begin + std::chrono::seconds(2);
  for (int i = 0; i < 2; ++i) {
    metrics.NoteBegin();
    metrics.NoteEnd(record, record.begin + std::chrono::seconds(20));
  }
  metrics.NoteBegin();
  const std::string text = metrics.Render();
  for (const char* line :
       {"headrace_http_requests_in_flight 1\n", "headrace_http_requests_total{class=\"generate\",status=\"200\"} 2\n",
        "headrace_http_sent_bytes_total 20\n", "headrace_prompt_tokens_total{model=\"a\\\"\\\\\\n\"} 10\n",
        "headrace_answer_tokens_total{model=\"a\\\"\\\\\\n\"} 14\n", "headrace_queue_seconds_bucket{le=\"0.3\"} 0\n",
        "headrace_queue_seconds_bucket{le=\"1\"} 2\n", "headrace_queue_seconds_sum 1\n",
        "headrace_http_first_byte_seconds_bucket{class=\"generate\",le=\"3\"} 2\n",
        "headrace_http_request_duration_seconds_bucket{class=\"generate\",le=\"10\"} 0\n",
        "headrace_http_request_duration_seconds_bucket{class=\"generate\",le=\"+Inf\"} 2\n",
        "headrace_http_request_duration_seconds_sum{class=\"generate\"} 40\n",
        "headrace_http_request_duration_seconds_count{class=\"generate\"} 2\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

}  // namespace
}  // namespace headrace::serve
