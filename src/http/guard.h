// Who may ask: API keys, and the protection against pages of other sites in the user's browser. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "http/http.h"

namespace headrace::serve {

struct GuardRules {
  bool loopback = true;           // bound to this machine alone
  std::vector<std::string> keys;  // none: no key is asked for
};

// The answer to a request that may not be: 401 without a right key, 403 from another site; else nullopt.
// `is_page`: the path is one of the page's own files. Reading them needs no key, for they hold no secrets, nor does
// reading /health; everything else does.
//
// A browser lets any page send requests to 127.0.0.1, and lets it read the answers when the page's name was
// made to point there (DNS rebinding). So on a loopback port the Host must be a loopback name; an Origin
// must be the host itself; and what the browser marks as coming from another site must be a plain visit of
// the page. Programs send none of these headers and are not troubled.
std::optional<Reply> CheckRequest(const GuardRules& rules, const Request& request, bool is_page);

// "localhost", "127.x.y.z", "::1", names below ".localhost".
bool IsLoopbackName(std::string_view host);

}  // namespace headrace::serve
