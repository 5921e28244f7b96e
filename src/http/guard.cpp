#include "http/guard.h"

#include <algorithm>

#include <fmt/format.h>

#include "http/cross_origin.h"

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

bool IsAllowedHost(const GuardRules& rules, std::string_view name) {
  return std::any_of(rules.hosts.begin(), rules.hosts.end(),
                     [&](const std::string& each) { return EqualIgnoringCase(each, name); });
}

// A page that this server itself showed, by whatever name it was reached. A proxy may have replaced the Host.
bool IsOwnPage(const GuardRules& rules, std::string_view origin, std::string_view host) {
  constexpr std::string_view kHttp = "http://", kHttps = "https://";
  if (!origin.starts_with(kHttp) && !origin.starts_with(kHttps)) return false;
  const std::string_view shown = origin.substr(origin.starts_with(kHttp) ? kHttp.size() : kHttps.size());
  return shown == host || IsAllowedHost(rules, NameOf(shown));
}

}  // namespace

Status CheckHostName(const std::string& host) {
  const bool plain = !host.empty() && host.find_first_of("/@? \t") == std::string::npos &&
                     std::all_of(host.begin(), host.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (plain && NameOf(host) == host) return {};
  return Status(Code::kInvalidArgument,
                fmt::format("--allow-host {} is no host name; write it without scheme and port, for instance "
                            "box.example.net",
                            host));
}

bool IsLoopbackName(std::string_view host) {
  if (host == "::1" || EqualIgnoringCase(host, "localhost")) return true;
  constexpr std::string_view kLocal = ".localhost";
  if (host.size() > kLocal.size() && EqualIgnoringCase(host.substr(host.size() - kLocal.size()), kLocal)) return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::optional<Reply> CheckRequest(const GuardRules& rules, const Request& request, bool is_page) {
  const std::string_view host = request.Header("Host");
  if (rules.loopback && !host.empty() && !IsLoopbackName(NameOf(host)) && !IsAllowedHost(rules, NameOf(host))) {
    return ErrorReply(403, fmt::format("the host name {} is not this machine's own; use http://127.0.0.1 or "
                                       "http://localhost, or start headrace serve with --allow-host {}",
                                       host, NameOf(host)));
  }
  const std::string_view origin = request.Header("Origin");
  const bool allowed = IsAllowedOrigin(rules.origins, origin);
  if (!origin.empty() && !allowed && !IsOwnPage(rules, origin, host)) {
    return ErrorReply(403, fmt::format("requests from pages of {} are not answered; headrace serve --allow-origin {} "
                                       "lets them in",
                                       origin, origin));
  }
  const std::string_view site = request.Header("Sec-Fetch-Site");
  const bool visit = is_page && request.reads() && request.Header("Sec-Fetch-Mode") == "navigate";
  if (!site.empty() && site != "same-origin" && site != "none" && !visit && !allowed) {
    return ErrorReply(403, "requests from pages of other sites are not answered");
  }
  if (allowed && IsPreflight(request)) return std::nullopt;
  const bool open = request.reads() && (is_page || request.path == "/health" || request.path == "/v1/health");
  if (!rules.keys.empty() && !open && !HasKey(rules, request)) {
    Reply reply = ErrorReply(401, "a right API key is needed: send Authorization: Bearer KEY");
    reply.headers.emplace_back("WWW-Authenticate", "Bearer");
    return reply;
  }
  return std::nullopt;
}

}  // namespace headrace::serve
