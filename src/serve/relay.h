// Hands a request to a model's llama-server and its answer back, as the answer is made.
#pragma once

#include "serve/exchange.h"
#include "serve/model.h"
#include "serve/net.h"

namespace headrace::serve {

// The request's body is used up. A client that goes away takes its request to the child with it. When the child
// dies the client is told at once: with status 502, in an event stream that has begun with an error event, and
// where neither is possible by breaking the answer off.
Task<> Relay(Exchange& exchange, Model& model);

// An error as an event of the stream that `path` answers with. Pure.
std::string ErrorEvent(std::string_view path, std::string_view message);

}  // namespace headrace::serve
