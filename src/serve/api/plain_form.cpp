#include "serve/api/plain_form.h"

#include <fmt/format.h>

namespace headrace::serve {

void PlainForm::Begin(AnswerHead& head) {
  is_event_stream_ = IsEventStream(head);
  if (!names_.idle()) head.content_length.reset();
}

std::optional<std::string> PlainForm::Broken(std::string_view why) {
  return is_event_stream_ ? std::optional(ErrorEvent(path_, why)) : std::nullopt;
}

std::string ErrorEvent(std::string_view path, std::string_view message) {
  if (path.starts_with("/v1/messages")) {
    const Json body = {{"type", "error"}, {"error", {{"type", "api_error"}, {"message", std::string(message)}}}};
    return fmt::format("event: error\ndata: {}\n\n", Dump(body));
  }
  return fmt::format("data: {}\n\n", Dump(ErrorBody(502, message)));
}

}  // namespace headrace::serve
