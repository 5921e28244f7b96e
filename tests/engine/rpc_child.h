// The engine with another device than the processor, as scripts/install-devices.sh installs them: what the environment of a run must hold, and
// why there is no such device here.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "base/descriptor.h"

namespace headrace::testing {

struct Device {
  std::map<std::string, std::string> environment;  // of a run of the engine (Work)
  std::string missing;                             // why it is not there, "" when it is
};

// A Vulkan device computed in software; never a real card, whose driver a test must not depend on.
Device VulkanDevice();
// Takes wide products from the processor's backend, in the processor's memory.
Device BlasDevice();
// Devices of other processes: RpcServer.
Device RpcDevice();

// Skips the test with the reason where the device is not there.
#define HEADRACE_NEEDS(device) \
  if (!(device).missing.empty()) GTEST_SKIP() << (device).missing

// The engine's RPC server in a process of its own, with the processor as its device, while this lives.
class RpcServer {
 public:
  RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;
  ~RpcServer();

  const std::string& endpoint() const { return endpoint_; }  // "127.0.0.1:PORT", "" when it did not start: then error() says why
  const std::string& error() const { return error_; }

 private:
  std::string endpoint_, error_;
  Descriptor input_;   // the server ends when it is closed
  Descriptor output_;
  pid_t process_ = -1;
};

}  // namespace headrace::testing
