#include "http/json_fields.h"

#include <algorithm>

#include <fmt/format.h>

namespace headrace::serve {
namespace {

Status NotUnderstood(const char* name, const char* right) {
  return Status(Code::kInvalidArgument, fmt::format("{} is not understood: write {}", name, right));
}

}  // namespace

Result<Json> ObjectOf(const std::string& body) {
  auto json = ParseJson(body);
  if (!json.ok()) return Status(json.status().code(), "the request's body is no JSON: " + json.status().message());
  if (!json->is_object()) return Status(Code::kInvalidArgument, "the request's body is no JSON object");
  return json;
}

Json MemberOrNull(const Json& object, const char* name) {
  const Json* member = FindMember(object, name);
  return member == nullptr ? Json() : *member;
}

Result<bool> FlagField(const Json& object, const char* name, bool otherwise) {
  const Json value = MemberOrNull(object, name);
  if (value.is_null()) return otherwise;
  if (value.is_boolean()) return value.get<bool>();
  return NotUnderstood(name, "true or false");
}

Result<std::string> TextField(const Json& object, const char* name) {
  const Json value = MemberOrNull(object, name);
  if (value.is_null()) return std::string();
  if (value.is_string()) return value.get<std::string>();
  return NotUnderstood(name, "a text");
}

Result<std::optional<int64_t>> WholeField(const Json& object, const char* name) {
  const Json value = MemberOrNull(object, name);
  if (value.is_null()) return std::optional<int64_t>();
  // Some clients have no whole numbers: 128.0.
  const double number = value.is_number() ? value.get<double>() : 0.5;
  if (number == static_cast<double>(static_cast<int64_t>(std::clamp(number, -1e15, 1e15))))
    return std::optional(static_cast<int64_t>(number));
  return NotUnderstood(name, "a whole number");
}

Result<std::vector<std::string>> TextsField(const Json& object, const char* name) {
  const Json value = MemberOrNull(object, name);
  std::vector<std::string> texts;
  if (value.is_null()) return texts;
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& text : list) {
    if (!text.is_string()) return NotUnderstood(name, "a text or a list of texts");
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

}  // namespace headrace::serve
