#include "http/cross_origin.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/letters.h"

namespace headrace::serve {

Status CheckOrigin(const std::string& origin) {
  if (origin == "*" || origin == "null") return {};
  const size_t mark = origin.find("://");
  const bool printable = std::all_of(origin.begin(), origin.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (mark == std::string::npos || mark == 0 || mark + 3 == origin.size() || !printable) {
    return Status(Code::kInvalidArgument,
                  fmt::format("--allow-origin {} is no origin; write for instance https://example.com, "
                              "app://obsidian.md, null or *",
                              origin));
  }
  if (origin.find('/', mark + 3) != std::string::npos) {
    return Status(Code::kInvalidArgument, fmt::format("--allow-origin {} has a path, which no browser sends; write {}",
                                                      origin, origin.substr(0, origin.find('/', mark + 3))));
  }
  return {};
}

bool IsAllowedOrigin(const std::vector<std::string>& allowed, std::string_view origin) {
  return !origin.empty() && std::any_of(allowed.begin(), allowed.end(), [&](const std::string& each) {
    return each == "*" || EqualIgnoringCase(each, origin);
  });
}

bool IsPreflight(const Request& request) {
  return request.method == "OPTIONS" && !request.Header("Origin").empty() &&
         !request.Header("Access-Control-Request-Method").empty();
}

Reply PreflightReply(const Request& request) {
  Reply reply;
  reply.content_type.clear();
  reply.headers = {{"Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE"}, {"Access-Control-Max-Age", "600"}};
  // A page of an allowed origin may send any header: none of them opens more than a program may.
  const std::string wanted(request.Header("Access-Control-Request-Headers"));
  if (!wanted.empty()) reply.headers.emplace_back("Access-Control-Allow-Headers", wanted);
  // Chromium asks so before a page of the internet reaches this machine (Private Network Access).
  if (request.Header("Access-Control-Request-Private-Network") == "true")
    reply.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
  return reply;
}

std::vector<std::pair<std::string, std::string>> CrossOriginHeaders(const std::vector<std::string>& allowed,
                                                                    const Request& request) {
  if (allowed.empty()) return {};
  std::vector<std::pair<std::string, std::string>> headers = {{"Vary", "Origin"}};
  const std::string_view origin = request.Header("Origin");
  if (!IsAllowedOrigin(allowed, origin)) return headers;
  headers.emplace_back("Access-Control-Allow-Origin", std::string(origin));
  headers.emplace_back("Access-Control-Expose-Headers", "Retry-After");
  return headers;
}

}  // namespace headrace::serve
