#include "http/listener.h"

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "base/log.h"
#include "http/deadline.h"
#include "http/guard.h"

namespace headrace::serve {
namespace {

using Tcp = boost::asio::ip::tcp;
constexpr Millis kAcceptPause{50};        // while no descriptors are left
constexpr uint64_t kDescriptorsEach = 2;  // to a client and to its model
constexpr uint64_t kOtherDescriptors = kDescriptorsWanted - kDescriptorsEach * kMostConnections;
constexpr size_t kFewest = 16;
constexpr size_t kMostTurnedAway = 64;  // at a time; more are closed without a word
constexpr std::chrono::seconds kTurnAwayTime{2};
constexpr int kMostAttempts = 8;  // to find a port that is free on both addresses

// Who counts as one client: an IPv4 address, or the network that one IPv6 host has for itself. "" when it has left
// already.
std::string AddressOf(const Tcp::socket& socket) {
  ErrorCode error;
  const auto address = socket.remote_endpoint(error).address();
  if (error) return "";
  if (address.is_v4()) return address.to_string();
  auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
  if (v6.is_loopback()) return v6.to_string();
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  return asio::ip::address_v6(bytes).to_string();
}

std::string FullAnswer() {
  const Reply reply = ErrorReply(503, "too many requests are being answered; try again in a moment");
  return fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: {}\r\nContent-Length: {}\r\nRetry-After: 1\r\nConnection: "
      "close\r\n\r\n{}",
      reply.content_type, reply.body.size(), reply.body);
}

}  // namespace

Listener::Listener(const Executor& executor, const ConnectionRules& rules)
    : executor_(executor), rules_(rules), ended_(executor) {}

ErrorCode Listener::Bind(Acceptor& acceptor, const Tcp::endpoint& endpoint) {
  ErrorCode error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  // What is sent to the IPv4 address is for the other acceptor.
  if (!error && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  return error;
}

Status Listener::Open(const std::string& host, uint16_t port) {
  ErrorCode error;
  asio::ip::address address = asio::ip::make_address(host, error);
  // A name of this machine is not looked up.
  const bool named = error && IsLoopbackName(host);
  if (named) address = asio::ip::address_v4::loopback();
  if (error && !named)
    return Status(
        Code::kInvalidArgument,
        fmt::format("--host {} is no address of this machine; write for instance 127.0.0.1 or 0.0.0.0", host));
  loopback_ = address.is_loopback();
  for (int attempt = 0;; ++attempt) {
    acceptors_.clear();
    error = Bind(acceptors_.emplace_back(executor_), {address, port});
    if (error) break;
    port_ = acceptors_.front().local_endpoint().port();
    if (!named) return {};
    error = Bind(acceptors_.emplace_back(executor_), {asio::ip::address_v6::loopback(), port_});
    // Another program may have the port that was free of the two.
    if (error == asio::error::address_in_use && port == 0 && attempt < kMostAttempts) continue;
    if (!error || error == asio::error::address_in_use) break;
    acceptors_.pop_back();  // this machine has no IPv6
    return {};
  }
  if (error == asio::error::address_in_use) {
    return Status(
        Code::kIo,
        fmt::format("port {} of {} is taken, perhaps by another headrace serve; choose one with --port, 0 takes any "
                    "that is free",
                    port, host));
  }
  if (error) {
    const Code code = error == asio::error::access_denied ? Code::kPermission : Code::kInvalidArgument;
    return Status(code, fmt::format("cannot listen on port {} of {}: {}", port, host, error.message()));
  }
  return {};
}

void Listener::Begin(uint64_t descriptors) {
  const uint64_t room = descriptors - std::min(descriptors, kOtherDescriptors);
  most_ = std::clamp<size_t>(room / kDescriptorsEach, kFewest, kMostConnections);
  if (most_ < kMostConnections) {
    LogWarning(fmt::format("the limit of open files ({}) leaves room for {} connections; raise it with ulimit -n",
                           descriptors, most_));
  }
  for (Acceptor& acceptor : acceptors_) Spawn(executor_, Accept(acceptor));
}

bool Listener::CloseWaiting(const std::string& only_of) {
  std::map<std::string, size_t> counts;
  for (const auto& [connection, address] : connections_) ++counts[address];
  auto chosen = connections_.end();
  std::tuple<size_t, int, Clock::time_point> best;  // the least is closed
  for (auto it = connections_.begin(); it != connections_.end(); ++it) {
    const auto waiting = it->first->waiting();
    if (!waiting || (!only_of.empty() && it->second != only_of)) continue;
    const std::tuple<size_t, int, Clock::time_point> rank{most_ - std::min(most_, counts[it->second]),
                                                          static_cast<int>(waiting->owed), waiting->since};
    if (chosen != connections_.end() && rank >= best) continue;
    chosen = it;
    best = rank;
  }
  if (chosen == connections_.end()) return false;
  chosen->first->Close();
  connections_.erase(chosen);
  return true;
}

bool Listener::MakeRoom(const std::string& address) {
  const auto of_address =
      std::count_if(connections_.begin(), connections_.end(), [&](const auto& each) { return each.second == address; });
  if (static_cast<size_t>(of_address) >= most_ / 2) return CloseWaiting(address);
  return connections_.size() < most_ || CloseWaiting("");
}

Task<> Listener::Accept(Acceptor& acceptor) {
  while (!draining_) {
    ErrorCode error;
    Tcp::socket socket = co_await acceptor.async_accept(Into(error));
    if (draining_) break;
    if (error) {
      if (error == asio::error::no_descriptors) CloseWaiting("");
      co_await Sleep(kAcceptPause);
      continue;
    }
    const std::string address = AddressOf(socket);
    if (address.empty()) continue;
    if (!MakeRoom(address)) {
      if (turning_away_ < kMostTurnedAway) Spawn(executor_, TurnAway(std::move(socket)));
      continue;
    }
    const auto connection = std::make_shared<Connection>(std::move(socket), rules_);
    connections_.emplace(connection, address);
    Spawn(executor_, Serve(connection));
  }
}

// Reads what comes: the answer would be lost if the connection were closed on it.
Task<> Listener::TurnAway(Tcp::socket socket) {
  ++turning_away_;
  boost::beast::tcp_stream stream(std::move(socket));
  {
    const Deadline deadline(stream, kTurnAwayTime);
    const std::string answer = FullAnswer();
    ErrorCode error;
    co_await asio::async_write(stream, asio::buffer(answer), Into(error));
    if (!error) stream.socket().shutdown(Tcp::socket::shutdown_send, error);
    std::string rest(4096, '\0');
    while (!error && !deadline.passed()) co_await stream.async_read_some(asio::buffer(rest), Into(error));
  }
  --turning_away_;
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
  for (Acceptor& acceptor : acceptors_) acceptor.close(ignored);
  const auto connections = connections_;
  for (const auto& [connection, address] : connections) connection->Finish();
  const auto limit = Clock::now() + time;
  while (!connections_.empty() && Clock::now() < limit) {
    co_await ended_.WaitFor(std::chrono::ceil<Millis>(limit - Clock::now()));
  }
  CloseAll();
}

void Listener::CloseAll() {
  const auto connections = connections_;
  for (const auto& [connection, address] : connections) connection->Close();
}

}  // namespace headrace::serve
