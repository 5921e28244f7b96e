// Which server the commands that ask one mean. Pure.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"

namespace headrace::client {

inline constexpr const char* kDefaultServer = "http://127.0.0.1:8080";

struct ServerAddress {
  std::string url;  // without a slash at its end; a proxy's path may be in it
  std::string key;  // "" for none
};

// What is given on the command line goes before HEADRACE_SERVER and HEADRACE_API_KEY (of several keys the first).
// "8081", "host", "host:8081" and "[::1]:8081" are short for http://…; without a port 8080 is meant, in a whole URL the
// scheme's own. Errors: kInvalidArgument with the form that is right.
Result<ServerAddress> ResolveServer(const std::string& server, const std::string& key,
                                    const std::function<const char*(const char*)>& getenv);

}  // namespace headrace::client
