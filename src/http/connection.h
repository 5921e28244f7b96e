// A client's connection: reads its requests, has them answered, one after the other.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/exchange.h"
#include "http/net.h"

namespace headrace::serve {

struct ConnectionRules {
  uint64_t body_bytes = 0;  // largest request
  // A path of a proxy in front, "/llm": requests are taken with it and without it; "" for none.
  std::string prefix;
  // What every answer to a request carries beside its own headers; may be empty.
  std::function<std::vector<std::pair<std::string, std::string>>(const Request&)> answer_headers;
  // A refusal before anybody handles the request, in the words of the API that it is for; may be empty.
  std::function<Reply(const Request&, Reply)> shape;
  // May look at a request before its body is read; an answer refuses it.
  std::function<std::optional<Reply>(const Request&)> check;
  std::function<Task<>(Exchange&)> handle;  // must send an answer
  // Around each answer, refusals too; may be empty.
  std::function<void()> note_begin;
  std::function<void(const RequestRecord&)> note_end;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, const ConnectionRules& rules);

  // Until the client or Finish ends it. It may be idle for 75 s; a header takes at most 10 s from its first byte, a
  // body at most five minutes, without a pause of 30 s. What is wrong with a request is answered, as far as that gets
  // through.
  Task<> Run();

  // What the client is waited for, least worth waiting for first.
  enum class Owed { kRequest, kBody, kReading };
  struct Waiting {
    Owed owed = Owed::kRequest;
    Clock::time_point since;
  };
  // None while it is answered.
  std::optional<Waiting> waiting() const;

  // An idle connection is closed, one with a request after its answer.
  void Finish();
  void Close() { stream_.close(); }

 private:
  Task<bool> WaitForRequest();
  Task<bool> ReadRequest(Request& request);
  Task<bool> Answer(Request request);
  Task<> Refuse(Request request, Reply reply);
  void NoteEnd(Exchange& exchange) const;

  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  const ConnectionRules& rules_;
  std::optional<Waiting> waiting_;
  Exchange* exchange_ = nullptr;  // of the request that is being answered
  bool finishing_ = false;
};

}  // namespace headrace::serve
