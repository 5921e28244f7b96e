#include "serve/api/lmstudio_answer.h"

#include <fmt/format.h>

#include "serve/api/api_shape.h"
#include "serve/api/ollama_models.h"

namespace headrace::serve {
namespace {

const char* LmStudioType(ModelKind kind) { return kind == ModelKind::kEmbedding ? "embeddings" : "llm"; }

// llama-server does not tell a stop text from the model's own end here.
const char* StopReason(const std::string& end) {
  if (end == "length") return "maxPredictedTokensReached";
  return end == "tool_calls" ? "toolCalls" : "eosFound";
}

Json StatsOf(const ChildTimings& timings, const std::string& end) {
  const double seconds = timings.ms / 1000;
  return {{"tokens_per_second", seconds > 0 ? static_cast<double>(timings.tokens) / seconds : 0},
          {"time_to_first_token", timings.prompt_ms / 1000},
          {"generation_time", seconds},
          {"stop_reason", StopReason(end)}};
}

}  // namespace

Json LmStudioModel(const ModelEntry& entry, const std::string& name, const Model* model) {
  const bool loaded = model != nullptr && model->state() == ModelState::kLoaded;
  const size_t slash = entry.id.find('/');
  Json json = {{"id", name},
               {"object", "model"},
               {"type", LmStudioType(entry.kind)},
               {"publisher", slash == std::string::npos ? "" : entry.id.substr(0, slash)},
               {"arch", entry.architecture},
               {"compatibility_type", "gguf"},
               {"quantization", entry.quantization},
               {"state", loaded ? "loaded" : "not-loaded"},
               {"max_context_length", entry.context_length}};
  if (loaded) json["loaded_context_length"] = model->context > 0 ? model->context : model->plan().context;
  return json;
}

Json LmStudioAbout(const Model& model, const std::string& engine_version) {
  const ModelEntry& entry = model.plan().entry;
  return {{"model_info",
           {{"arch", entry.architecture},
            {"quant", entry.quantization},
            {"format", "gguf"},
            {"context_length", model.context > 0 ? model.context : model.plan().context}}},
          {"runtime",
           {{"name", "headrace " HEADRACE_VERSION ", llama.cpp"},
            {"version", engine_version},
            {"supported_formats", {"gguf"}}}}};
}

void LmStudioAnswer::Begin(AnswerHead& head) {
  status_ = head.status;
  is_event_stream_ = IsEventStream(head);
  head.content_length.reset();
}

Json LmStudioAnswer::Completed(Json json) {
  if (json.contains("model")) json["model"] = id_;
  const ChildOutput output = OpenAiOutput(json);
  if (!output.end.empty()) end_ = output.end;
  if (!output.timings) return json;
  json["stats"] = StatsOf(*output.timings, end_);
  json.update(about_);
  return json;
}

std::string LmStudioAnswer::Feed(std::string_view piece) {
  if (!is_event_stream_) {
    body_ += piece;
    return "";
  }
  std::string text;
  for (const std::string& data : events_.Feed(piece)) {
    const Json json = JsonOrNull(data);
    text += fmt::format("data: {}\n\n", json.is_object() ? Dump(Completed(json)) : data);
  }
  return text;
}

std::string LmStudioAnswer::Finish() {
  if (is_event_stream_) return "";
  const Json json = JsonOrNull(body_);
  return status_ == 200 && json.is_object() ? Dump(Completed(json)) + "\n" : body_;
}

std::optional<std::string> LmStudioAnswer::Broken(std::string_view why) {
  return is_event_stream_ ? std::optional(ErrorInStream(ApiShape::kOpenAi, ErrorReply(502, why))) : std::nullopt;
}

}  // namespace headrace::serve
