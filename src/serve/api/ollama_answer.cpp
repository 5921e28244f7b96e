#include "serve/api/ollama_answer.h"

#include "serve/api/api_shape.h"

#include <algorithm>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace headrace::serve {
namespace {

constexpr size_t kMostCalls = 1000;
constexpr double kNsInMs = 1e6;

int64_t NsOf(Clock::duration time) { return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count(); }

std::string LineOf(const Json& json) { return Dump(json) + "\n"; }

}  // namespace

void ToolCallCollector::Take(const Json& pieces) {
  if (!pieces.is_array()) return;
  for (const Json& piece : pieces) {
    // A whole answer has no indices.
    const Json* index = FindMember(piece, "index");
    const size_t at = index != nullptr && index->is_number_unsigned() ? index->get<size_t>() : calls_.size();
    if (at >= kMostCalls) continue;
    if (calls_.size() <= at) calls_.resize(at + 1);
    const Json* function = FindMember(piece, "function");
    if (const std::string id = TextOf(piece, "id"); !id.empty()) calls_[at].id = id;
    if (function == nullptr) continue;
    calls_[at].name += TextOf(*function, "name");
    calls_[at].arguments += TextOf(*function, "arguments");
  }
}

Json ToolCallCollector::Calls() const {
  Json list = Json::array();
  for (const Call& call : calls_) {
    const auto parsed = ParseJson(call.arguments);
    const Json arguments = call.arguments.empty() ? Json::object() : parsed.ok() ? *parsed : Json(call.arguments);
    list.push_back(
        {{"id", call.id}, {"function", {{"index", list.size()}, {"name", call.name}, {"arguments", arguments}}}});
  }
  return list;
}

std::string UtcText(std::chrono::system_clock::time_point time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(time - whole).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09d}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(whole)), ns);
}

Reply OllamaError(const Reply& reply) { return ErrorInShape(ApiShape::kOllama, reply); }

OllamaAnswer::OllamaAnswer(OllamaRequest::Kind kind, std::string model, bool stream, bool completion,
                           Clock::time_point begin, Clock::duration load)
    : kind_(kind), model_(std::move(model)), stream_(stream), completion_(completion), begin_(begin), load_(load) {}

void OllamaAnswer::Begin(AnswerHead& head) {
  status_ = head.status;
  head.content_length.reset();
  const bool lines = stream_ && status_ == 200;
  head.headers = {{"Content-Type", lines ? "application/x-ndjson" : "application/json; charset=utf-8"}};
}

Json OllamaAnswer::Piece(const std::string& text, const std::string& thinking, const Json& calls) const {
  Json piece = {{"model", model_}, {"created_at", UtcText(std::chrono::system_clock::now())}, {"done", false}};
  if (kind_ == OllamaRequest::Kind::kChat) piece["message"] = {{"role", "assistant"}, {"content", text}};
  if (kind_ == OllamaRequest::Kind::kGenerate) piece["response"] = text;
  Json& holder = kind_ == OllamaRequest::Kind::kChat ? piece["message"] : piece;
  if (!thinking.empty()) holder["thinking"] = thinking;
  if (!calls.empty()) holder["tool_calls"] = calls;
  return piece;
}

Json OllamaAnswer::Last(Json piece) const {
  piece["done"] = true;
  // Ollama's "stop" is the end of the model's own and a call of tools too.
  piece["done_reason"] = end_ == "length" ? "length" : "stop";
  piece["total_duration"] = NsOf(Clock::now() - begin_);
  piece["load_duration"] = NsOf(load_);
  const ChildTimings timings = timings_.value_or(ChildTimings());
  piece["prompt_eval_count"] = timings.prompt_tokens;
  piece["prompt_eval_duration"] = static_cast<int64_t>(timings.prompt_ms * kNsInMs);
  piece["eval_count"] = timings.tokens;
  piece["eval_duration"] = static_cast<int64_t>(timings.ms * kNsInMs);
  return piece;
}

Json OllamaAnswer::Empty(const char* reason) const {
  Json piece = Piece("", "", Json::array());
  piece["done"] = true;
  piece["done_reason"] = reason;
  return piece;
}

void OllamaAnswer::Note(const ChildOutput& output) {
  if (!output.end.empty()) end_ = output.end;
  if (output.timings) timings_ = output.timings;
  calls_.Take(output.tool_calls);
}

std::string OllamaAnswer::TakeEvent(const std::string& data) {
  if (data == "[DONE]" || failed_) return "";
  const Json json = JsonOrNull(data);
  const ChildOutput output = completion_ ? CompletionOutput(json) : OpenAiOutput(json);
  if (!output.error.empty()) {
    failed_ = true;
    return LineOf({{"error", output.error}});
  }
  Note(output);
  if (output.text.empty() && output.thinking.empty()) return "";
  Json piece = Piece(output.text, output.thinking, Json::array());
  if (!output.logprobs.is_null()) piece["logprobs"] = output.logprobs;
  return LineOf(piece);
}

std::string OllamaAnswer::Feed(std::string_view piece) {
  std::string lines;
  if (stream_ && status_ == 200) {
    for (const std::string& data : events_.Feed(piece)) lines += TakeEvent(data);
  } else {
    body_ += piece;
  }
  return lines;
}

std::string OllamaAnswer::Finish() {
  if (status_ != 200) {
    const std::string message = ErrorIn(JsonOrNull(body_));
    return LineOf({{"error", message.empty() ? body_ : message}});
  }
  if (failed_) return "";
  if (stream_) {
    std::string lines;
    if (!calls_.empty()) lines += LineOf(Piece("", "", calls_.Calls()));
    return lines + LineOf(Last(Piece("", "", Json::array())));
  }
  const Json json = JsonOrNull(body_);
  const ChildOutput output = completion_ ? CompletionOutput(json) : OpenAiOutput(json);
  Note(output);
  Json whole = Last(Piece(output.text, output.thinking, calls_.Calls()));
  if (!output.logprobs.is_null()) whole["logprobs"] = output.logprobs;
  return LineOf(whole);
}

std::optional<std::string> OllamaAnswer::Broken(std::string_view why) {
  if (!stream_ || failed_) return std::nullopt;
  return LineOf({{"error", std::string(why)}});
}

}  // namespace headrace::serve
