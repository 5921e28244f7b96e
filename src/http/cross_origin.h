// Pages of other sites that may ask: what their browser wants to read in an answer (Fetch standard, "CORS protocol").
// Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "http/http.h"

namespace headrace::serve {

// An origin as a browser sends it: "https://name[:port]", "app://name", "null"; "*" means all. Errors:
// kInvalidArgument, which says what is wrong with it.
Status CheckOrigin(const std::string& origin);

// Whether `origin` is one of `allowed`. The letters' case counts for nothing.
bool IsAllowedOrigin(const std::vector<std::string>& allowed, std::string_view origin);

// A browser's question whether a page may send its request.
bool IsPreflight(const Request& request);
// The answer to one whose origin is allowed.
Reply PreflightReply(const Request& request);

// What every answer to `request` carries, errors too: nothing where no origin is allowed.
std::vector<std::pair<std::string, std::string>> CrossOriginHeaders(const std::vector<std::string>& allowed,
                                                                    const Request& request);

}  // namespace headrace::serve
