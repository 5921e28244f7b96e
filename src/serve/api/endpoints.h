// The paths that llama-server answers, as far as they are known here: which methods they take, and whether a request
// for one is a reason to load a model. Pure.
#pragma once

#include <string_view>

namespace headrace::serve {

struct Endpoint {
  bool read = false, posted = false;  // GET (and HEAD), POST
  bool read_loads = false;            // a GET that names a model loads it
  bool post_loads = false;            // work for a model, whichever it is
};

// Nothing but false for a path that is not known. A loaded model is asked all the same: other releases have more.
Endpoint EndpointOf(std::string_view path);

}  // namespace headrace::serve
