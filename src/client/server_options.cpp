#include "client/server_options.h"

#include <cstdlib>

#include <CLI/CLI.hpp>

namespace headrace::client {

void AddServerOptions(CLI::App& command, ServerOptions& options) {
  command
      .add_option("--server", options.server,
                  "The server to ask: a port, HOST:PORT or a URL (also HEADRACE_SERVER; default 127.0.0.1:8080)")
      ->type_name("ADDRESS");
  command
      .add_option("--api-key", options.key,
                  "The key that the server wants (also HEADRACE_API_KEY, which keeps it out of the list of processes)")
      ->type_name("KEY");
}

Result<ServerAddress> AddressOf(const ServerOptions& options) {
  return ResolveServer(options.server, options.key, [](const char* name) { return std::getenv(name); });
}

}  // namespace headrace::client
