// A client's connection: reads its requests, has them answered, one after the other.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <functional>
#include <memory>

#include "serve/exchange.h"
#include "serve/net.h"

namespace headrace::serve {

struct ConnectionRules {
  uint64_t body_bytes = 0;                            // largest request
  // May look at a request before its body is read; an answer refuses it.
  std::function<std::optional<Reply>(const Request&)> check;
  std::function<Task<>(Exchange&)> handle;            // must send an answer
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, const ConnectionRules& rules);

  // Until the client or Finish ends it. A header must be there 75 s after the answer before it, the body
  // within five minutes and without a pause of 30 s.
  Task<> Run();

  // An idle connection is closed, one with a request after its answer.
  void Finish();
  void Close() { stream_.close(); }

 private:
  Task<bool> ReadRequest(Request& request);
  Task<> Refuse(Request request, Reply reply);

  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  const ConnectionRules& rules_;
  Exchange* exchange_ = nullptr;                      // of the request that is being answered
  bool finishing_ = false;
};

}  // namespace headrace::serve
