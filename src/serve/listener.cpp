#include "serve/listener.h"

#include <fmt/format.h>

#include "serve/guard.h"

namespace headrace::serve {
namespace {

using Tcp = boost::asio::ip::tcp;
constexpr size_t kMostConnections = 512;
constexpr Millis kAcceptPause{50};   // while there are too many, or no descriptors are left

}  // namespace

Listener::Listener(const Executor& executor, const ConnectionRules& rules)
    : executor_(executor), rules_(rules), acceptor_(executor), ended_(executor) {}

Status Listener::Open(const std::string& host, uint16_t port) {
  ErrorCode error;
  // "localhost" is not looked up: it may be two addresses, and we listen on one.
  const auto address = asio::ip::make_address(IsLoopbackName(host) && host.find_first_of(":") == std::string::npos &&
                                                      host.find_first_not_of("0123456789.") != std::string::npos
                                                  ? "127.0.0.1"
                                                  : host, error);
  if (error) return Status(Code::kInvalidArgument, fmt::format("--host {} is no address of this machine; write for instance 127.0.0.1 or 0.0.0.0", host));
  loopback_ = address.is_loopback();
  const Tcp::endpoint endpoint(address, port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error == asio::error::address_in_use) {
    return Status(Code::kIo, fmt::format("port {} of {} is taken, perhaps by another headrace serve; choose one with --port, 0 takes any "
                                         "that is free", port, host));
  }
  if (error) {
    const Code code = error == asio::error::access_denied ? Code::kPermission : Code::kInvalidArgument;
    return Status(code, fmt::format("cannot listen on port {} of {}: {}", port, host, error.message()));
  }
  port_ = acceptor_.local_endpoint().port();
  return {};
}

void Listener::Begin() { Spawn(executor_, Accept()); }

Task<> Listener::Accept() {
  while (!draining_) {
    if (connections_.size() >= kMostConnections) {
      co_await ended_.WaitFor(kAcceptPause);
      continue;
    }
    ErrorCode error;
    Tcp::socket socket = co_await acceptor_.async_accept(Into(error));
    if (draining_) break;
    if (error) {
      co_await Sleep(kAcceptPause);
      continue;
    }
    const auto connection = std::make_shared<Connection>(std::move(socket), rules_);
    connections_.insert(connection);
    Spawn(executor_, Serve(connection));
  }
}

Task<> Listener::Serve(std::shared_ptr<Connection> connection) {
  try {
    co_await connection->Run();
  } catch (...) {
    connections_.erase(connection);
    ended_.NotifyAll();
    throw;
  }
  connections_.erase(connection);
  ended_.NotifyAll();
}

Task<> Listener::Drain(Millis time) {
  draining_ = true;
  ErrorCode ignored;
  acceptor_.close(ignored);
  const auto connections = connections_;
  for (const auto& connection : connections) connection->Finish();
  const auto limit = Clock::now() + time;
  while (!connections_.empty() && Clock::now() < limit) {
    co_await ended_.WaitFor(std::chrono::ceil<Millis>(limit - Clock::now()));
  }
  CloseAll();
}

void Listener::CloseAll() {
  const auto connections = connections_;
  for (const auto& connection : connections) connection->Close();
}

}  // namespace headrace::serve
