// Small requests to a child, whole answers.
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <string>

#include "base/status.h"
#include "serve/net.h"

namespace headrace::serve {

struct ChildAnswer {
  int status = 0;
  std::string body;
};

// One request over the child's unix socket. Errors: kIo when nobody listens or the answer breaks off.
Task<Result<ChildAnswer>> AskChild(std::string socket_path, std::string method, std::string target, std::string body);

}  // namespace headrace::serve
