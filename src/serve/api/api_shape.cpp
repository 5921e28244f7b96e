#include "serve/api/api_shape.h"

#include <fmt/format.h>

#include "llama_server/child_output.h"

namespace headrace::serve {
namespace {

// Of an error, whoever made it; one that is no object becomes one.
Json ErrorDetails(const Reply& error) {
  const Json body = JsonOrNull(error.body);
  const Json* details = FindMember(body, "error");
  if (details != nullptr && details->is_object()) return *details;
  const std::string message = details != nullptr && details->is_string() ? details->get<std::string>() : error.body;
  return ErrorBody(error.status, message)["error"];
}

Json ErrorBodyIn(ApiShape shape, const Reply& error) {
  switch (shape) {
    case ApiShape::kOpenAi:
      return {{"error", ErrorDetails(error)}};
    case ApiShape::kAnthropic:
      return {{"type", "error"}, {"error", ErrorDetails(error)}};
    case ApiShape::kOllama:
      break;
  }
  const std::string message = ErrorIn(JsonOrNull(error.body));
  return {{"error", message.empty() ? error.body : message}};
}

}  // namespace

ApiShape ShapeOf(std::string_view path) {
  const auto below = [&](std::string_view folder) { return path.starts_with(folder); };
  if (below("/api/") && !below("/api/v1/") && !below("/api/v0/")) return ApiShape::kOllama;
  return path.starts_with("/v1/messages") ? ApiShape::kAnthropic : ApiShape::kOpenAi;
}

Reply ErrorInShape(ApiShape shape, Reply error) {
  if (shape == ApiShape::kOpenAi) return error;
  Reply reply = JsonReply(ErrorBodyIn(shape, error), error.status);
  reply.headers = std::move(error.headers);
  return reply;
}

std::string ErrorInStream(ApiShape shape, const Reply& error) {
  const std::string body = Dump(ErrorBodyIn(shape, error));
  switch (shape) {
    case ApiShape::kOpenAi:
      return fmt::format("data: {}\n\n", body);
    case ApiShape::kAnthropic:
      return fmt::format("event: error\ndata: {}\n\n", body);
    case ApiShape::kOllama:
      break;
  }
  return body + "\n";
}

}  // namespace headrace::serve
