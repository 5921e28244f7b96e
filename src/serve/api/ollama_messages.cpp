#include "serve/api/ollama_messages.h"

#include <deque>

#include <fmt/format.h>

#include "http/http.h"
#include "http/json_fields.h"

namespace headrace::serve {
namespace {

Status Wrong(const char* what) { return Status(Code::kInvalidArgument, what); }

// By the first bytes, as base64 writes them.
const char* ImageType(std::string_view base64) {
  if (base64.starts_with("/9j/")) return "image/jpeg";
  if (base64.starts_with("R0lG")) return "image/gif";
  if (base64.starts_with("UklGR")) return "image/webp";
  if (base64.starts_with("Qk")) return "image/bmp";
  return "image/png";
}

// The calls that have no answer yet.
using OpenCalls = std::deque<std::string>;

Result<Json> ToolCalls(const Json& calls, size_t& number, OpenCalls& open) {
  if (!calls.is_array()) return Wrong("tool_calls is not understood: write a list");
  Json result = Json::array();
  for (const Json& call : calls) {
    const Json* function = FindMember(call, "function");
    if (function == nullptr || TextOf(*function, "name").empty())
      return Wrong("a tool call names no function: write {\"function\": {\"name\": …, \"arguments\": {…}}}");
    const Json arguments = MemberOrNull(*function, "arguments");
    std::string id = TextOf(call, "id");
    if (id.empty()) id = fmt::format("call_{}", number);
    ++number;
    open.push_back(id);
    result.push_back({{"id", id},
                      {"type", "function"},
                      {"function",
                       {{"name", TextOf(*function, "name")},
                        {"arguments", arguments.is_string() ? arguments.get<std::string>()
                                      : arguments.is_null() ? "{}"
                                                            : Dump(arguments)}}}});
  }
  return result;
}

}  // namespace

Result<Json> MessageOf(const std::string& role, const std::string& text, const Json& images) {
  Json message = {{"role", role}, {"content", text}};
  if (images.is_null() || (images.is_array() && images.empty())) return message;
  if (!images.is_array()) return Wrong("images is not understood: write a list of texts in base64");
  Json parts = Json::array();
  if (!text.empty()) parts.push_back({{"type", "text"}, {"text", text}});
  for (const Json& image : images) {
    if (!image.is_string()) return Wrong("images is not understood: write a list of texts in base64");
    const std::string data = image.get<std::string>();
    const std::string url = data.starts_with("data:") ? data : fmt::format("data:{};base64,{}", ImageType(data), data);
    parts.push_back({{"type", "image_url"}, {"image_url", {{"url", url}}}});
  }
  message["content"] = std::move(parts);
  return message;
}

Result<Json> ChatMessages(const Json& messages) {
  if (messages.is_null()) return Json::array();
  if (!messages.is_array()) return Wrong("messages is not understood: write a list of {\"role\": …, \"content\": …}");
  Json result = Json::array();
  OpenCalls open;
  size_t number = 0;
  for (const Json& message : messages) {
    if (!message.is_object()) return Wrong("messages is not understood: write a list of {\"role\": …, \"content\": …}");
    const auto role = TextField(message, "role"), content = TextField(message, "content"),
               thinking = TextField(message, "thinking");
    for (const auto* field : {&role, &content, &thinking}) {
      if (!field->ok()) return field->status();
    }
    if (role->empty()) return Wrong("a message has no role: write \"system\", \"user\", \"assistant\" or \"tool\"");
    auto translated = MessageOf(*role, *content, MemberOrNull(message, "images"));
    if (!translated.ok()) return translated;
    if (!thinking->empty()) (*translated)["reasoning_content"] = *thinking;
    if (const Json calls = MemberOrNull(message, "tool_calls"); !calls.is_null() && !calls.empty()) {
      auto made = ToolCalls(calls, number, open);
      if (!made.ok()) return made;
      (*translated)["tool_calls"] = std::move(*made);
    }
    if (*role == "tool") {
      std::string id = TextOf(message, "tool_call_id");
      if (id.empty() && !open.empty()) {
        id = open.front();
        open.pop_front();
      }
      (*translated)["tool_call_id"] = id;
      if (const std::string name = TextOf(message, "tool_name"); !name.empty()) (*translated)["name"] = name;
    }
    result.push_back(std::move(*translated));
  }
  return result;
}

}  // namespace headrace::serve
