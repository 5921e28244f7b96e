// Which model a request is for. Pure.
#pragma once

#include <string>

#include "base/status.h"
#include "serve/http.h"

namespace headrace::serve {

// "model" of the query, else of the JSON body; "" when it names none. A body of another content type (a form with
// a file) is not looked into. Errors: kInvalidArgument for a body that is no JSON object, or whose "model" is no text.
Result<std::string> RequestedModel(const Request& request);

}  // namespace headrace::serve
