#include "llama_server/child_output.h"

#include "http/http.h"
#include "http/json_fields.h"

namespace headrace::serve {
namespace {

std::optional<ChildTimings> TimingsIn(const Json& json) {
  const Json* timings = FindMember(json, "timings");
  if (timings == nullptr || !timings->is_object()) return std::nullopt;
  return ChildTimings{CountOf(*timings, "prompt_n") + CountOf(*timings, "cache_n"), CountOf(*timings, "predicted_n"),
                      NumberOf(*timings, "prompt_ms"), NumberOf(*timings, "predicted_ms")};
}

}  // namespace

std::string ErrorIn(const Json& json) {
  const Json error = MemberOrNull(json, "error");
  if (error.is_null()) return "";
  if (error.is_string()) return error.get<std::string>();
  const std::string message = TextOf(error, "message");
  return message.empty() ? Dump(error) : message;
}

ChildOutput OpenAiOutput(const Json& json) {
  ChildOutput output;
  output.error = ErrorIn(json);
  output.timings = TimingsIn(json);
  const Json* choices = FindMember(json, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty()) return output;
  const Json& choice = choices->front();
  output.end = TextOf(choice, "finish_reason");
  output.text = TextOf(choice, "text");
  if (const Json* logprobs = FindMember(choice, "logprobs"); logprobs != nullptr)
    output.logprobs = MemberOrNull(*logprobs, "content");
  for (const char* name : {"message", "delta"}) {
    const Json* message = FindMember(choice, name);
    if (message == nullptr) continue;
    output.text = TextOf(*message, "content");
    output.thinking = TextOf(*message, "reasoning_content");
    output.tool_calls = MemberOrNull(*message, "tool_calls");
  }
  return output;
}

ChildOutput CompletionOutput(const Json& json) {
  ChildOutput output;
  output.error = ErrorIn(json);
  output.timings = TimingsIn(json);
  output.text = TextOf(json, "content");
  const std::string type = TextOf(json, "stop_type");
  if (IsTrue(json, "stop")) output.end = type == "limit" ? "length" : "stop";
  output.at_stop_text = type == "word";
  return output;
}

}  // namespace headrace::serve
