// What the client of a request gets while it waits: of a streaming answer the head, and a sign of life every few
// seconds.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "http/exchange.h"
#include "http/net.h"
#include "serve/api/api_shape.h"
#include "serve/models/waiting_line.h"

namespace headrace::serve {

// How a client wants its answer.
struct StreamWish {
  ApiShape shape = ApiShape::kOpenAi;
  bool stream = false;
  bool events = false;  // and headrace's own events in it ("return_progress")
};
// Of a request for one of llama-server's paths. Pure.
StreamWish WishOf(std::string_view path, const std::string& body);

// An event or line that changes nothing for a client that does not know it. Pure.
std::string SignOfLife(const StreamWish& wish, const WaitNews& news);

// The same after the first token.
std::string SignOfWork(ApiShape shape);

// Lives on the loop, shorter than its arguments. The head is sent after a second: what is refused before has its real
// status.
class Waiting {
 public:
  Waiting(Exchange& exchange, WaitingLine& line, std::string model, StreamWish wish,
          std::function<WaitNews(const Waiter&)> news);

  Waiter& waiter() { return waiter_; }
  // The client has signs of life and nothing of an answer.
  bool only_told() const { return told_ && !answering_; }
  // From now on it gets one.
  void NoteAnswer() { answering_ = true; }
  // Of that answer the client has got this, in pieces of any length. Signs of life go between its events and lines
  // only.
  void NoteWritten(std::string_view text);

  // What `wait` returns. Its client is told meanwhile; nothing else may be written to it.
  template <typename T>
  Task<T> During(Task<T> wait) {
    if (!wish_.stream || !between_events_) co_return co_await std::move(wait);
    Begin();
    std::optional<T> result;
    std::exception_ptr failure;
    try {
      result.emplace(co_await std::move(wait));
    } catch (...) {
      failure = std::current_exception();
    }
    co_await End();
    if (failure) std::rethrow_exception(failure);
    co_return std::move(*result);
  }

  // The end of the answer: an error with its status, in a stream that has begun as its last event. 429 where the
  // request may not wait (any more).
  Task<> Refuse(Reply error);

 private:
  void Begin();
  Task<> End();
  Task<> Tell();
  Task<bool> TellOnce();
  Reply Busy(const Reply& error) const;

  Exchange& exchange_;
  const StreamWish wish_;
  const std::function<WaitNews(const Waiter&)> news_;
  Waiter waiter_;
  std::optional<Wakeup> changed_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_ = begin_;  // that the client got something
  bool over_ = false, telling_ = false, told_ = false, answering_ = false;
  bool between_events_ = true, has_events_ = false;
};

}  // namespace headrace::serve
