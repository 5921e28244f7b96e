#include "http/events.h"

#include <fmt/format.h>

namespace headrace::serve {

Task<bool> BeginEvents(Exchange& exchange) {
  AnswerHead head;
  head.headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  co_return co_await exchange.Begin(std::move(head));
}

Task<bool> SendEvent(Exchange& exchange, std::string name, Json data) {
  const std::string text = fmt::format("event: {}\ndata: {}\n\n", name, Dump(data));
  co_return co_await exchange.Write(text);
}

bool WantsEvents(const Request& request, const Json& body) {
  const auto stream = body.find("stream");
  if (stream != body.end() && stream->is_boolean()) return stream->get<bool>();
  return request.Header("Accept").find("text/event-stream") != std::string_view::npos;
}

}  // namespace headrace::serve
