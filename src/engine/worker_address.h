// Where workers are (docs/workers.md): HOST:PORT, as `headrace worker --listen` and `--workers` name them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace headrace::cli {

inline constexpr uint16_t kWorkerPort = 50052;  // the engine's own default

struct WorkerAddress {
  std::string host;
  uint16_t port = kWorkerPort;

  std::string text() const { return host + ":" + std::to_string(port); }
};

// ADDRESS[:PORT] where a worker may listen: an IPv4 address, or localhost, of this machine or of a private network.
// Whoever reaches a worker may use it. Errors: kInvalidArgument with the reason and what to do.
Result<WorkerAddress> ParseListenAddress(const std::string& text);

// HOST[:PORT],...: a name or an address each. Errors: kInvalidArgument.
Result<std::vector<WorkerAddress>> ParseWorkers(const std::string& text);

}  // namespace headrace::cli
