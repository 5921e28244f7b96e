#include "http/guard.h"

#include <algorithm>

#include <fmt/format.h>

namespace headrace::serve {
namespace {

// The name in a Host header: without its port and brackets.
std::string_view NameOf(std::string_view host) {
  if (host.starts_with('[')) return host.substr(1, std::min(host.find(']'), host.size()) - 1);
  return host.substr(0, host.find(':'));
}

// In a time that does not tell how much of it is right.
bool SameKey(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]);
  return difference == 0;
}

bool HasKey(const GuardRules& rules, const Request& request) {
  std::string_view given = request.Header("Authorization");
  constexpr std::string_view kBearer = "Bearer ";
  if (given.size() > kBearer.size() && EqualIgnoringCase(given.substr(0, kBearer.size()), kBearer)) {
    given.remove_prefix(kBearer.size());
  } else {
    given = request.Header("X-Api-Key");
  }
  bool right = false;
  for (const std::string& key : rules.keys) right = SameKey(given, key) || right;
  return right;
}

}  // namespace

bool IsLoopbackName(std::string_view host) {
  if (host == "::1" || EqualIgnoringCase(host, "localhost")) return true;
  constexpr std::string_view kLocal = ".localhost";
  if (host.size() > kLocal.size() && EqualIgnoringCase(host.substr(host.size() - kLocal.size()), kLocal)) return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::optional<Reply> CheckRequest(const GuardRules& rules, const Request& request, bool is_page) {
  const std::string_view host = request.Header("Host");
  if (rules.loopback && !host.empty() && !IsLoopbackName(NameOf(host))) {
    return ErrorReply(
        403, fmt::format("the host name {} is not this machine's own; use http://127.0.0.1 or http://localhost", host));
  }
  const std::string_view origin = request.Header("Origin");
  if (!origin.empty() && origin != fmt::format("http://{}", host) && origin != fmt::format("https://{}", host)) {
    return ErrorReply(403, fmt::format("requests from pages of {} are not answered", origin));
  }
  const std::string_view site = request.Header("Sec-Fetch-Site");
  const bool visit = is_page && request.reads() && request.Header("Sec-Fetch-Mode") == "navigate";
  if (!site.empty() && site != "same-origin" && site != "none" && !visit) {
    return ErrorReply(403, "requests from pages of other sites are not answered");
  }
  const bool open = request.reads() && (is_page || request.path == "/health" || request.path == "/v1/health");
  if (!rules.keys.empty() && !open && !HasKey(rules, request)) {
    Reply reply = ErrorReply(401, "a right API key is needed: send Authorization: Bearer KEY");
    reply.headers.emplace_back("WWW-Authenticate", "Bearer");
    return reply;
  }
  return std::nullopt;
}

}  // namespace headrace::serve
