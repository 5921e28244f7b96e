// Requests, answers and errors of the server, apart from how they travel.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/letters.h"
#include "base/status.h"

namespace headrace::serve {

struct Request {
  std::string method;
  std::string target;                                        // a path and a query, as they were sent
  std::string path;                                          // decoded
  std::map<std::string, std::string> query;                  // decoded; of repeated names the last
  std::vector<std::pair<std::string, std::string>> headers;  // names as they were sent
  std::string body;
  unsigned version = 11;  // of HTTP: 10 or 11
  bool keep_alive = true;

  // The header of that name in any case, "" when absent.
  std::string_view Header(std::string_view name) const;
  size_t CountHeaders(std::string_view name) const;
  // GET or HEAD: asks for what there is and changes nothing.
  bool reads() const { return method == "GET" || method == "HEAD"; }
  // The parameter of the query, "" when absent.
  std::string Query(const std::string& name) const;
};

// Fills path and query from `target`. One with a host ("http://host/path") becomes the path, its host the Host header.
// False when there is no path, or an escape is malformed or hides a NUL.
bool ParseTarget(Request& request);

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// A path that a proxy in front has for this server: "/llm", "/a/b"; without a '/' at its end. Errors: kInvalidArgument.
Result<std::string> PathPrefix(const std::string& text);
// Takes the prefix from the path of a request that has it. The prefix alone, where relative links would not lead below
// it, gets a redirect. Of a request without it, which a proxy has stripped, nothing is changed.
std::optional<Reply> TakePrefix(Request& request, const std::string& prefix);

Reply JsonReply(const Json& body, int status = 200);

// {"error": {"code", "message", "type"}}: the shape of llama-server's errors, which OpenAI's clients read too.
Json ErrorBody(int status, std::string_view message);
Reply ErrorReply(int status, std::string_view message);
// 400, 403, 404, 409, 500 or 503, from the code.
int HttpStatusOf(const Status& status);
Reply ErrorReply(const Status& status);
// With Retry-After where it is known when asking again may help.
Reply ErrorReply(const Status& status, std::optional<std::chrono::seconds> retry_after);

// 405 with Allow: `right` is the methods that the path takes, for instance "GET, HEAD".
Reply WrongMethodReply(const std::string& method, const char* right);
// {"object": "list", "data": [...]}, as OpenAI's lists are.
Reply ListReply(const Json& data);

// Text that any JSON reader takes: bytes that are no UTF-8 are replaced.
std::string Dump(const Json& json);

}  // namespace headrace::serve
