// Hands a request to a model's llama-server and its answer back, as the answer is made.
#pragma once

#include "http/exchange.h"
#include "http/net.h"
#include "serve/api/answer_form.h"
#include "serve/api/waiting.h"
#include "serve/models/model.h"

namespace headrace::serve {

// The request's body is used up. A client that goes away takes its request to the child with it. When the child
// dies the client is told at once: with status 502, in a stream that has begun as `form` tells it, and
// where neither is possible by breaking the answer off.
// It waits for its turn, and for the answer's head, as `waiting` tells it.
Task<> Relay(Exchange& exchange, Model& model, AnswerForm& form, Waiting& waiting);

}  // namespace headrace::serve
