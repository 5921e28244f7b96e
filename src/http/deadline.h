// A limit to how long something is waited for on a connection.
#pragma once

#include <boost/beast/core/tcp_stream.hpp>
#include <memory>

#include "http/net.h"

namespace headrace::serve {

// While it lives: what waits on `stream` when the time is over ends with an error, and passed() says why. The
// connection stays open, unlike with the stream's own limit, so that the client can be told.
class Deadline {
 public:
  Deadline(boost::beast::tcp_stream& stream, Clock::duration time)
      : timer_(stream.get_executor(), time), state_(std::make_shared<State>()) {
    timer_.async_wait([&stream, state = state_](ErrorCode error) {
      if (error || state->over) return;
      state->passed = true;
      stream.cancel();
    });
  }
  ~Deadline() { state_->over = true; }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  bool passed() const { return state_->passed; }

 private:
  struct State {
    bool passed = false, over = false;
  };
  asio::steady_timer timer_;
  const std::shared_ptr<State> state_;  // shared with the wait that is under way
};

}  // namespace headrace::serve
