// The port: takes connections, as many as it can serve, and ends them.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "base/status.h"
#include "http/connection.h"
#include "http/net.h"

namespace headrace::serve {

inline constexpr size_t kMostConnections = 1024;
inline constexpr uint64_t kDescriptorsWanted = 2 * kMostConnections + 256;

// Lives on the loop; `rules` outlive it and its connections.
//
// A client that opens connections and leaves them locks nobody out: when there is no place for a new one, a connection
// whose client is waited for is closed for it: of the address that has most of them, and there the one that is least
// worth waiting for and is waited for longest. Where all are being answered the new one is told so. One address has at
// most half of the places.
class Listener {
 public:
  Listener(const Executor& executor, const ConnectionRules& rules);

  // An address of this machine, or "localhost" for both of its own, 127.0.0.1 and ::1, where it has the second one.
  // Errors: kInvalidArgument (no such address), kPermission, kIo (the port is taken), with what to do.
  Status Open(const std::string& host, uint16_t port);
  uint16_t port() const { return port_; }
  bool loopback() const { return loopback_; }

  // `descriptors`: that this process may have open. Fewer than kDescriptorsWanted mean fewer connections.
  void Begin(uint64_t descriptors);
  // Takes no more connections, ends idle ones, and waits until the others have had their answers, at most
  // `time`; then they are closed.
  Task<> Drain(Millis time);
  void CloseAll();

 private:
  using Acceptor = boost::asio::ip::tcp::acceptor;
  static ErrorCode Bind(Acceptor& acceptor, const boost::asio::ip::tcp::endpoint& endpoint);
  Task<> Accept(Acceptor& acceptor);
  Task<> Serve(std::shared_ptr<Connection> connection);
  // Closes one that is waited for, where a new one of `address` needs its place. False: there is none.
  bool MakeRoom(const std::string& address);
  bool CloseWaiting(const std::string& only_of);
  Task<> TurnAway(boost::asio::ip::tcp::socket socket);

  const Executor executor_;
  const ConnectionRules& rules_;
  std::list<Acceptor> acceptors_;  // one for each address
  uint16_t port_ = 0;
  bool loopback_ = true;
  bool draining_ = false;
  size_t most_ = 0;                                                 // connections
  std::map<std::shared_ptr<Connection>, std::string> connections_;  // with the client's address
  size_t turning_away_ = 0;
  Wakeup ended_;  // one of the connections
};

}  // namespace headrace::serve
