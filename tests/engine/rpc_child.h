// The engine's RPC server, beside what the environment of a run with a device must hold.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/descriptor.h"
#include "device_environment.h"

namespace headrace::testing {

// The engine's RPC server in a process of its own, with the processor as its device, while this lives.
class RpcServer {
 public:
  RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;
  ~RpcServer();

  const std::string& endpoint() const {
    return endpoint_;
  }  // "127.0.0.1:PORT", "" when it did not start: then error() says why
  const std::string& error() const { return error_; }

 private:
  std::string endpoint_, error_;
  Descriptor input_;  // the server ends when it is closed
  Descriptor output_;
  pid_t process_ = -1;
};

}  // namespace headrace::testing
