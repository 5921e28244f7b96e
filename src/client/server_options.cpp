#include "client/server_options.h"

#include <cstdlib>

#include <CLI/CLI.hpp>

namespace headrace::client {

void AddServerOptions(CLI::App& command, ServerOptions& options) {
  command
      .add_option("--server", options.server,
                  "Address of the server: a port, HOST:PORT or a URL (also HEADRACE_SERVER; default 127.0.0.1:8080)")
      ->type_name("ADDRESS");
  command
      .add_option("--api-key", options.key,
                  "API key of the server (also HEADRACE_API_KEY, which keeps the key out of the list of processes)")
      ->type_name("KEY");
}

Result<ServerAddress> AddressOf(const ServerOptions& options) {
  return ResolveServer(options.server, options.key, [](const char* name) { return std::getenv(name); });
}

}  // namespace headrace::client
