// The port: takes connections, as many as it can serve, and ends them.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <set>
#include <string>

#include "base/status.h"
#include "serve/connection.h"
#include "serve/net.h"

namespace headrace::serve {

// Lives on the loop; `rules` outlive it and its connections.
class Listener {
 public:
  Listener(const Executor& executor, const ConnectionRules& rules);

  // Errors: kInvalidArgument (no such address), kPermission, kIo (the port is taken), with what to do.
  Status Open(const std::string& host, uint16_t port);
  uint16_t port() const { return port_; }
  bool loopback() const { return loopback_; }

  void Begin();
  // Takes no more connections, ends idle ones, and waits until the others have had their answers, at most
  // `time`; then they are closed.
  Task<> Drain(Millis time);
  void CloseAll();

 private:
  Task<> Accept();
  Task<> Serve(std::shared_ptr<Connection> connection);

  const Executor executor_;
  const ConnectionRules& rules_;
  boost::asio::ip::tcp::acceptor acceptor_;
  uint16_t port_ = 0;
  bool loopback_ = true;
  bool draining_ = false;
  std::set<std::shared_ptr<Connection>> connections_;
  Wakeup ended_;                          // one of the connections
};

}  // namespace headrace::serve
