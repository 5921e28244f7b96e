// Which model a request is for. Pure.
#pragma once

#include <string>

#include "base/status.h"
#include "http/http.h"

namespace headrace::serve {

// "model" of the query, else of the JSON body; "" when it names none. A form with files is not looked into.
// Errors: kInvalidArgument for a body that is no JSON, or no object where the query names no model, or whose "model" is
// no text. A body that passes is safe for the engine's own parser too, which no depth can stop.
Result<std::string> RequestedModel(const Request& request);

}  // namespace headrace::serve
