#include "serve/api/plain_form.h"

namespace headrace::serve {

void PlainForm::Begin(AnswerHead& head) {
  is_event_stream_ = IsEventStream(head);
  if (!names_.idle()) head.content_length.reset();
}

std::optional<std::string> PlainForm::Broken(std::string_view why) {
  return is_event_stream_ ? std::optional(ErrorInStream(ShapeOf(path_), ErrorReply(502, why))) : std::nullopt;
}

}  // namespace headrace::serve
