// Requests to a child over its unix socket.
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "http/net.h"

namespace headrace::serve {

struct ChildAnswer {
  int status = 0;
  std::string body;
};

// How long a question may take. A child that is stopped, or hangs, takes connections and never answers.
inline constexpr Millis kQuickQuestion{5'000};          // that its threads for requests answer, whatever it computes
inline constexpr Millis kUsualQuestion{60'000};         // that may wait for the end of a pass
inline constexpr Millis kFirstPassTime{6 * 3'600'000};  // a pass that brings all weights in from a slow disk

// A small request with a whole answer, within `time`. Errors: kIo when nobody listens, the answer breaks off, or the
// time is over.
Task<Result<ChildAnswer>> AskChild(std::string socket_path, std::string method, std::string target, std::string body,
                                   Millis time);

// The data of one server-sent event, "[DONE]" included. False: no more is wanted, the connection is closed, which ends
// the request in the child.
using OnEvent = std::function<bool(std::string_view data)>;

// POSTs a JSON body and hands every event of the answer over as it arrives. An answer that is no event stream (an
// error, as a rule) is returned in the body, else the body is empty. Errors: as above; kCancelled when `on_event` said
// so.
Task<Result<ChildAnswer>> StreamFromChild(std::string socket_path, std::string target, std::string body,
                                          OnEvent on_event);

// Why it does not answer, of the body or the event that says so: kInternal with its own words.
Status RefusalOf(const std::string& body);

}  // namespace headrace::serve
