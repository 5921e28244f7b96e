#include "http/http.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace headrace::serve {
namespace {

// %41 and, in a query, "+". Nullopt when malformed.
std::optional<std::string> Decode(std::string_view text, bool plus_is_blank) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += plus_is_blank && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    unsigned value = 0;
    const std::string_view digits = text.substr(i + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2 || value == 0) return std::nullopt;
    result += static_cast<char>(value);
    i += 2;
  }
  return result;
}

// "http://host:port/path?query" becomes "/path?query".
void TakeHost(Request& request) {
  const size_t scheme = request.target.find("://");
  const std::string_view name = std::string_view(request.target).substr(0, scheme);
  if (scheme == std::string::npos || (!EqualIgnoringCase(name, "http") && !EqualIgnoringCase(name, "https"))) return;
  const size_t begin = scheme + 3, end = std::min(request.target.find_first_of("/?#", begin), request.target.size());
  const std::string host = request.target.substr(begin, end - begin);
  std::string path = request.target.substr(end);
  if (!path.starts_with('/')) path.insert(path.begin(), '/');
  std::erase_if(request.headers, [](const auto& header) { return EqualIgnoringCase(header.first, "Host"); });
  request.headers.emplace_back("Host", host);
  request.target = std::move(path);
}

const char* TypeOf(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 409:
      return "conflict_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "unavailable_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

}  // namespace

std::string_view Request::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (EqualIgnoringCase(key, name)) return value;
  }
  return "";
}

size_t Request::CountHeaders(std::string_view name) const {
  return static_cast<size_t>(std::count_if(headers.begin(), headers.end(),
                                           [&](const auto& header) { return EqualIgnoringCase(header.first, name); }));
}

std::string Request::Query(const std::string& name) const {
  const auto it = query.find(name);
  return it == query.end() ? "" : it->second;
}

bool ParseTarget(Request& request) {
  TakeHost(request);
  request.target.resize(std::min(request.target.find('#'), request.target.size()));
  const std::string_view target = request.target;
  const size_t mark = std::min(target.find('?'), target.size());
  const auto decoded_path = Decode(target.substr(0, mark), false);
  if (!decoded_path || !decoded_path->starts_with('/')) return false;
  request.path = *decoded_path;
  std::string_view rest = target.substr(std::min(mark + 1, target.size()));
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t equals = std::min(pair.find('='), pair.size());
    const auto name = Decode(pair.substr(0, equals), true);
    const auto value = Decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!name || !value) return false;
    request.query[*name] = *value;
  }
  return true;
}

Result<std::string> PathPrefix(const std::string& text) {
  std::string prefix = text;
  while (prefix.ends_with('/')) prefix.pop_back();
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-._~/").find(c) != std::string::npos;
  };
  if (prefix.empty()) return prefix;
  if (!prefix.starts_with('/') || !std::all_of(prefix.begin(), prefix.end(), plain) ||
      prefix.find("//") != std::string::npos || prefix.find("/.") != std::string::npos) {
    return Status(Code::kInvalidArgument,
                  fmt::format("--prefix {} is no path; write for instance /llm, of letters, digits, - and _", text));
  }
  return prefix;
}

std::optional<Reply> TakePrefix(Request& request, const std::string& prefix) {
  if (prefix.empty() || !request.target.starts_with(prefix)) return std::nullopt;
  const char next = request.target.size() > prefix.size() ? request.target[prefix.size()] : '?';
  if (next == '?') {
    Reply reply = ErrorReply(308, fmt::format("this server is at {}/", prefix));
    reply.headers.emplace_back("Location", prefix + "/" + request.target.substr(prefix.size()));
    return reply;
  }
  if (next != '/') return std::nullopt;
  request.target.erase(0, prefix.size());
  request.path.erase(0, prefix.size());
  return std::nullopt;
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Reply JsonReply(const Json& body, int status) {
  Reply reply;
  reply.status = status;
  reply.body = Dump(body) + "\n";
  return reply;
}

Json ErrorBody(int status, std::string_view message) {
  return {{"error", {{"code", status}, {"message", std::string(message)}, {"type", TypeOf(status)}}}};
}

Reply ErrorReply(int status, std::string_view message) { return JsonReply(ErrorBody(status, message), status); }

int HttpStatusOf(const Status& status) {
  switch (status.code()) {
    case Code::kOk:
      return 200;
    case Code::kInvalidArgument:
    case Code::kOutOfBudget:
    case Code::kUnsupported:
      return 400;
    case Code::kPermission:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kCancelled:
      return 503;
    case Code::kChanged:
      return 409;
    case Code::kCorrupt:
    case Code::kIo:
    case Code::kInternal:
      break;
  }
  return 500;
}

Reply ErrorReply(const Status& status) { return ErrorReply(status, std::nullopt); }

Reply ErrorReply(const Status& status, std::optional<std::chrono::seconds> retry_after) {
  Reply reply = ErrorReply(HttpStatusOf(status), status.message());
  if (retry_after) reply.headers.emplace_back("Retry-After", std::to_string(retry_after->count()));
  return reply;
}

Reply WrongMethodReply(const std::string& method, const char* right) {
  Reply reply = ErrorReply(405, fmt::format("{} is not answered here; this path takes {}", method, right));
  reply.headers.emplace_back("Allow", right);
  return reply;
}

Reply ListReply(const Json& data) { return JsonReply({{"object", "list"}, {"data", data}}); }

}  // namespace headrace::serve
