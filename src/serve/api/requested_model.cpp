#include "serve/api/requested_model.h"

namespace headrace::serve {

namespace {

// What begins like this no JSON parser goes on with.
bool IsForm(const Request& request) {
  return request.Header("Content-Type").starts_with("multipart/") && request.body.starts_with("--");
}

}  // namespace

Result<std::string> RequestedModel(const Request& request) {
  const std::string named = request.Query("model");
  const bool blank = request.body.find_first_not_of(" \t\r\n") == std::string::npos;
  if (blank || IsForm(request)) return named;
  // Only the first level is kept: a body can hold images of many megabytes.
  const auto body = ParseJson(request.body, 1);
  if (!body.ok()) return Status(Code::kInvalidArgument, "the request's body is no JSON: " + body.status().message());
  // POST /lora-adapters?model=... sends a list.
  if (!body->is_object() && named.empty())
    return Status(Code::kInvalidArgument, "the request's body is no JSON object");
  const Json* model = FindMember(*body, "model");
  if (!named.empty() || model == nullptr || model->is_null()) return named;
  if (!model->is_string()) return Status(Code::kInvalidArgument, "\"model\" is no text: write a model's id");
  return model->get<std::string>();
}

}  // namespace headrace::serve
