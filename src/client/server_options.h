// Options of every command that asks a running server.
#pragma once

#include <string>

#include "base/status.h"
#include "client/server_address.h"

namespace CLI {
class App;
}

namespace headrace::client {

struct ServerOptions {
  std::string server, key;
};

// --server, --api-key.
void AddServerOptions(CLI::App& command, ServerOptions& options);

// With the environment. Errors: those of ResolveServer.
Result<ServerAddress> AddressOf(const ServerOptions& options);

}  // namespace headrace::client
