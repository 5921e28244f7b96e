#include "serve/api/ollama_request.h"

#include <fmt/format.h>

#include "http/json_fields.h"
#include "serve/api/ollama_messages.h"

namespace headrace::serve {
namespace {

Result<OllamaRequest> CommonOf(const Json& body, OllamaRequest::Kind kind) {
  OllamaRequest request;
  request.kind = kind;
  const auto model = OllamaModelName(body);
  const auto stream = FlagField(body, "stream", true);
  const auto keep_alive = ParseKeepAlive(MemberOrNull(body, "keep_alive"));
  auto options = ParseOllamaOptions(MemberOrNull(body, "options"));
  if (!model.ok()) return model.status();
  if (!stream.ok()) return stream.status();
  if (!keep_alive.ok()) return keep_alive.status();
  if (!options.ok()) return options.status();
  request.model = *model;
  request.stream = *stream;
  request.keep_alive = *keep_alive;
  request.options = std::move(*options);
  request.body = request.options.sampling;
  request.body["stream"] = *stream;
  return request;
}

// "format": "json" or a schema; nothing for "" and null.
Result<Json> SchemaOf(const Json& body) {
  const Json format = MemberOrNull(body, "format");
  if (format.is_null() || format == "") return Json();
  if (format == "json") return Json{{"type", "object"}};
  if (format.is_object()) return format;
  return Status(Code::kInvalidArgument, "format is not understood: write \"json\" or a JSON schema");
}

Status SetThinking(const Json& body, Json& child) {
  const Json think = MemberOrNull(body, "think");
  if (think.is_null()) return {};
  if (think.is_boolean()) {
    child["chat_template_kwargs"]["enable_thinking"] = think;
  } else if (think == "low" || think == "medium" || think == "high") {
    child["chat_template_kwargs"] = {{"enable_thinking", true}, {"reasoning_effort", think}};
  } else {
    return Status(Code::kInvalidArgument, R"(think is not understood: write true, false, "low", "medium" or "high")");
  }
  return {};
}

Status CompleteChat(const Json& body, OllamaRequest& request) {
  request.path = "/v1/chat/completions";
  if (request.options.limit) request.body["max_tokens"] = *request.options.limit;
  if (request.stream) request.body["stream_options"]["include_usage"] = true;
  const auto schema = SchemaOf(body);
  if (!schema.ok()) return schema.status();
  const bool any = MemberOrNull(body, "format") == "json";
  if (any) request.body["response_format"]["type"] = "json_object";
  if (!any && !schema->is_null())
    request.body["response_format"] = {{"type", "json_schema"},
                                       {"json_schema", {{"name", "answer"}, {"schema", *schema}}}};
  for (const char* name : {"logprobs", "top_logprobs"}) {
    if (const Json value = MemberOrNull(body, name); !value.is_null()) request.body[name] = value;
  }
  // Without a number llama-server gives twenty.
  if (request.body.contains("logprobs") && !request.body.contains("top_logprobs")) request.body["top_logprobs"] = 1;
  return SetThinking(body, request.body);
}

Status CompleteText(const Json& body, const std::string& prompt, const std::string& suffix, OllamaRequest& request) {
  request.completion = true;
  request.path = suffix.empty() ? "/completion" : "/infill";
  if (request.options.limit) request.body["n_predict"] = *request.options.limit;
  if (suffix.empty()) {
    request.body["prompt"] = prompt;
  } else {
    request.body["input_prefix"] = prompt;
    request.body["input_suffix"] = suffix;
  }
  const auto schema = SchemaOf(body);
  if (!schema.ok()) return schema.status();
  if (!schema->is_null()) request.body["json_schema"] = *schema;
  return {};
}

}  // namespace

Result<std::string> OllamaModelName(const Json& body) {
  for (const char* name : {"model", "name"}) {
    auto text = TextField(body, name);
    if (!text.ok() || !text->empty()) return text;
  }
  return Status(Code::kInvalidArgument, "\"model\" is missing: write a model's name; GET /api/tags lists them");
}

Result<OllamaRequest> ParseOllamaChat(const Json& body) {
  auto request = CommonOf(body, OllamaRequest::Kind::kChat);
  if (!request.ok()) return request;
  auto messages = ChatMessages(MemberOrNull(body, "messages"));
  if (!messages.ok()) return messages.status();
  request->empty = messages->empty();
  request->body["messages"] = std::move(*messages);
  if (const Json tools = MemberOrNull(body, "tools"); !tools.is_null()) {
    if (!tools.is_array()) return Status(Code::kInvalidArgument, "tools is not understood: write a list");
    if (!tools.empty()) request->body["tools"] = tools;
  }
  HEADRACE_RETURN_IF_ERROR(CompleteChat(body, *request));
  return request;
}

Result<OllamaRequest> ParseOllamaGenerate(const Json& body) {
  auto request = CommonOf(body, OllamaRequest::Kind::kGenerate);
  if (!request.ok()) return request;
  const auto prompt = TextField(body, "prompt"), suffix = TextField(body, "suffix"), system = TextField(body, "system"),
             own = TextField(body, "template");
  for (const auto* field : {&prompt, &suffix, &system, &own}) {
    if (!field->ok()) return field->status();
  }
  const auto raw = FlagField(body, "raw", false);
  if (!raw.ok()) return raw.status();
  if (!own->empty())
    return Status(Code::kInvalidArgument,
                  "template cannot be given here: the model's own is used; write the whole prompt and \"raw\": true");
  if (const Json context = MemberOrNull(body, "context"); !context.is_null() && !context.empty()) {
    return Status(Code::kInvalidArgument,
                  "context cannot be given here: send the whole conversation to /api/chat; what was read before is not "
                  "read again");
  }
  const Json images = MemberOrNull(body, "images");
  request->empty = prompt->empty() && suffix->empty() && (images.is_null() || images.empty());
  if (*raw || !suffix->empty()) {
    if (!images.is_null() && !images.empty())
      return Status(Code::kInvalidArgument, "images cannot be given with raw or suffix; leave those out");
    HEADRACE_RETURN_IF_ERROR(CompleteText(body, *prompt, *suffix, *request));
    return request;
  }
  Json messages = Json::array();
  if (!system->empty()) messages.push_back({{"role", "system"}, {"content", *system}});
  auto message = MessageOf("user", *prompt, images);
  if (!message.ok()) return message.status();
  messages.push_back(std::move(*message));
  request->body["messages"] = std::move(messages);
  HEADRACE_RETURN_IF_ERROR(CompleteChat(body, *request));
  return request;
}

}  // namespace headrace::serve
