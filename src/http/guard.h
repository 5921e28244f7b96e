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
  // Pages of these origins may ask too; "*" means all (http/cross_origin.h).
  std::vector<std::string> origins = {};
  // Names beside its own under which a proxy or a tunnel reaches this server.
  std::vector<std::string> hosts = {};
};

// The answer to a request that may not be: 401 without a right key, 403 from another site; else nullopt.
// `is_page`: the path is one of the page's own files. Reading them needs no key, for they hold no secrets, nor does
// reading /health; everything else does.
//
// A browser lets any page send requests to 127.0.0.1, and lets it read the answers when the page's name was
// made to point there (DNS rebinding). So on a loopback port the Host must be a loopback name; an Origin
// must be the host itself; and what the browser marks as coming from another site must be a plain visit of
// the page. Programs send none of these headers and are not troubled. `rules.hosts` are as good as the server's own
// names, `rules.origins` as good as its own pages; a preflight of theirs needs no key, for it cannot carry one.
std::optional<Reply> CheckRequest(const GuardRules& rules, const Request& request, bool is_page);

// A name for GuardRules::hosts: "box.example.net", without port or scheme. Errors: kInvalidArgument.
Status CheckHostName(const std::string& host);

// "localhost", "127.x.y.z", "::1", names below ".localhost".
bool IsLoopbackName(std::string_view host);

}  // namespace headrace::serve
