#include "serve/api/answer_form.h"

#include <algorithm>

namespace headrace::serve {

bool IsEventStream(const AnswerHead& head) {
  return std::any_of(head.headers.begin(), head.headers.end(), [](const auto& header) {
    return EqualIgnoringCase(header.first, "Content-Type") && header.second.starts_with("text/event-stream");
  });
}

}  // namespace headrace::serve
