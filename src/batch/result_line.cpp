#include "batch/result_line.h"

namespace headrace::batch {
namespace {

std::string Write(const RequestEntry& entry, Json response, Json error) {
  const Json line = {{"id", entry.id()},
                     {"custom_id", entry.custom_id.empty() ? Json() : Json(entry.custom_id)},
                     {"response", std::move(response)},
                     {"error", std::move(error)}};
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string ResponseLine(const RequestEntry& entry, int status, const std::string& body) {
  auto json = ParseOrderedJson(body);
  Json parsed = json.ok() ? std::move(*json) : Json(body);
  std::string request_id = entry.id();
  if (parsed.is_object() && parsed.contains("id") && parsed["id"].is_string())
    request_id = parsed["id"].get<std::string>();
  return Write(entry, {{"status_code", status}, {"request_id", request_id}, {"body", std::move(parsed)}}, nullptr);
}

std::string ErrorLine(const RequestEntry& entry, std::string_view code, std::string_view message) {
  return Write(entry, nullptr, {{"code", code}, {"message", message}});
}

Result<ResultKey> ParseResult(std::string_view line) {
  const Status none(Code::kCorrupt, "is not a result of a batch");
  const headrace::Json json = JsonOrNull(line);
  if (!json.is_object() || !json.contains("id") || !json["id"].is_string() || !json.contains("custom_id") ||
      !json.contains("response") || !json.contains("error")) {
    return none;
  }
  ResultKey key;
  key.id = json["id"].get<std::string>();
  if (json["custom_id"].is_string()) {
    key.custom_id = json["custom_id"].get<std::string>();
  } else if (!json["custom_id"].is_null()) {
    return none;
  }
  const headrace::Json& response = json["response"];
  const bool answered = response.is_object() && response.contains("status_code") && response["status_code"].is_number();
  key.failed = !json["error"].is_null() || !answered || response["status_code"] != 200;
  return key;
}

}  // namespace headrace::batch
