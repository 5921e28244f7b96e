// One request of a client and the way its answer goes back: whole, or piece by piece as it is made.
#pragma once

#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/http.h"
#include "http/net.h"
#include "http/request_record.h"

namespace headrace::serve {

// Of an answer that comes in pieces.
struct AnswerHead {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<uint64_t> content_length;  // none: the end is told when it comes (chunks)
};

// A client that goes away is noticed while nothing is written to it too; one that closed only its sending half is not
// gone (http/peer.h). Of a client on another machine that is told apart by its kernel's answer to keep-alive probes,
// within about 75 s, or by the first thing written to it. One that does not read for a minute is taken for gone. Lives
// on the loop, shorter than `stream`.
class Exchange {
 public:
  Exchange(boost::beast::tcp_stream& stream, Request request);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  Request& request() { return request_; }
  // Of the request as it came, whatever becomes of request().
  RequestRecord& record() { return record_; }
  Executor executor() { return stream_.get_executor(); }

  // What its answer carries beside its own headers. Before Send or Begin.
  void AddToAnswer(std::vector<std::pair<std::string, std::string>> headers) { added_ = std::move(headers); }

  // Each false when the client is gone. Nothing may follow Send or End.
  Task<bool> Send(Reply reply);
  Task<bool> Begin(AnswerHead head);
  Task<bool> Write(std::string_view piece);
  Task<bool> End();
  // Breaks the connection off, for an answer that cannot be completed.
  void Abort();

  bool begun() const { return begun_; }
  bool gone() const { return watch_->gone; }
  // The client left before all of its answer was written.
  bool cut_short() const { return gone() && !written_; }
  // The connection can carry another request.
  bool keep_alive() const { return keep_alive_ && !gone(); }
  // From now on answers ask the client not to send another request.
  void CloseAfterwards() { keep_alive_ = false; }

  // Since when the client has not taken what is being written to it; none while nothing is.
  std::optional<Clock::time_point> blocked_since() const { return blocked_since_; }

  // Calls `action` when the client goes away, at once if it is gone; "{}" takes that back.
  void OnGone(std::function<void()> action);

 private:
  struct Watch {
    explicit Watch(const Executor& executor) : next_look(executor) {}
    bool gone = false;
    bool ended = false;
    std::function<void()> action;
    asio::steady_timer next_look;
  };
  void StartWatch();
  void Look();
  void NoteGone();
  // Of a write that `error` ended.
  bool Wrote(ErrorCode error, ErrorCode usual);

  boost::beast::tcp_stream& stream_;
  Request request_;
  RequestRecord record_;
  const std::shared_ptr<Watch> watch_;  // shared with the wait that is under way
  std::vector<std::pair<std::string, std::string>> added_;
  bool keep_alive_;
  bool begun_ = false;
  bool written_ = false;  // all of the answer
  std::optional<Clock::time_point> blocked_since_;
  std::optional<boost::beast::http::response<boost::beast::http::buffer_body>> response_;
  std::optional<boost::beast::http::response_serializer<boost::beast::http::buffer_body>> serializer_;
};

}  // namespace headrace::serve
