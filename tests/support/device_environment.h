// The engine with another device than the processor, as scripts/install-devices.sh installs them: what the environment
// of a run must hold, and why there is no such device here. For tests that know where those are (HEADRACE_DEVICES) and
// have a folder to keep things in (HEADRACE_TEST_CACHE).
#pragma once

#include <map>
#include <string>

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

}  // namespace headrace::testing
