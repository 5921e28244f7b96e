// Requests to a running headrace serve, over libcurl. One at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"
#include "client/server_address.h"

namespace headrace::client {

class ServerClient {
 public:
  explicit ServerClient(ServerAddress address);
  ~ServerClient();
  ServerClient(const ServerClient&) = delete;
  ServerClient& operator=(const ServerClient&) = delete;

  // Asked several times a second while a request runs; false ends it.
  std::function<bool()> go_on = [] { return true; };

  // Errors: kNotFound when no server answers there, and for what it does not know; kInvalidArgument, kPermission, …
  // with the server's own words for what it refuses; kIo for an answer that breaks off; kUnsupported for an answer that
  // is none of headrace's; kCancelled when `go_on` said so.
  Result<Json> Get(const std::string& path);
  Result<Json> Post(const std::string& path, const Json& body);

  // POSTs and hands over the data of each event, "[DONE]" included; false breaks off, which is no error. An answer that
  // is no stream is an error, as above.
  using OnEvent = std::function<bool(std::string_view data)>;
  Status Stream(const std::string& path, const Json& body, const OnEvent& on_event);

  const ServerAddress& address() const { return address_; }

 private:
  struct Answer;
  Result<Json> Ask(const std::string& path, const std::string* body);
  Status Perform(const std::string& path, const std::string* body, Answer& answer);

  const ServerAddress address_;
};

// What an answer with this status and this body refuses.
Status RefusalOf(long http_status, std::string_view body);

}  // namespace headrace::client
