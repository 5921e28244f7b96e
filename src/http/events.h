// Server-sent events of our own.
#pragma once

#include <string>

#include "http/exchange.h"
#include "http/http.h"
#include "http/net.h"

namespace headrace::serve {

// Each false when the client is gone.
Task<bool> BeginEvents(Exchange& exchange);
// "event: NAME", "data: JSON".
Task<bool> SendEvent(Exchange& exchange, std::string name, Json data);

// Whether the client asks for events: "stream": true in `body`, or Accept: text/event-stream.
bool WantsEvents(const Request& request, const Json& body);

}  // namespace headrace::serve
