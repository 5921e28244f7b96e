// How a child's answer looks to the client: as it is, or in another API's words.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/exchange.h"
#include "http/http.h"

namespace headrace::serve {

// Begin once, then Feed for each piece, then Finish. Values; not thread-safe.
class AnswerForm {
 public:
  virtual ~AnswerForm() = default;

  // May change the head. A body whose length changes has none.
  virtual void Begin(AnswerHead& head) = 0;
  // What can be handed on of all that came so far.
  virtual std::string Feed(std::string_view piece) = 0;
  virtual std::string Finish() = 0;
  // The end of an answer that has begun and breaks off, with the reason; nullopt where it can only be cut.
  virtual std::optional<std::string> Broken(std::string_view why) = 0;
};

// Whether it is a stream of server-sent events. Pure.
bool IsEventStream(const AnswerHead& head);

}  // namespace headrace::serve
