#include "serve/requested_model.h"

namespace headrace::serve {

Result<std::string> RequestedModel(const Request& request) {
  if (const std::string named = request.Query("model"); !named.empty()) return named;
  const bool blank = request.body.find_first_not_of(" \t\r\n") == std::string::npos;
  const std::string_view type = request.Header("Content-Type");
  if (blank || type.starts_with("multipart/") || type.starts_with("audio/") || type.starts_with("image/")) return std::string();
  // Only the first level is kept: a body can hold images of many megabytes.
  const auto keep = [](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::key) return depth == 1 && value == "model";
    return depth <= 1;
  };
  const Json body = Json::parse(request.body, keep, false);
  if (body.is_discarded()) return Status(Code::kInvalidArgument, "the request's body is no JSON");
  if (!body.is_object()) return Status(Code::kInvalidArgument, "the request's body is no JSON object");
  const auto model = body.find("model");
  if (model == body.end() || model->is_null()) return std::string();
  if (!model->is_string()) return Status(Code::kInvalidArgument, "\"model\" is no text: write a model's id");
  return model->get<std::string>();
}

}  // namespace headrace::serve
