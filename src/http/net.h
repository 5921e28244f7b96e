// Boost's network library under short names, and how everything in serve/ runs: on one thread, the loop.
// Nothing here is thread-safe unless it says so; what blocks goes to a worker thread (OnWorker).
#pragma once

#include <utility>  // Boost 1.74 forgets it

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <functional>
#include <memory>

namespace headrace::serve {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using Executor = asio::any_io_executor;
using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

// A coroutine on the loop.
template <typename T = void>
using Task = asio::awaitable<T>;

// co_await operation(..., Into(error)): a failure is a value, not an exception.
inline auto Into(ErrorCode& error) { return asio::redirect_error(asio::use_awaitable, error); }

// Starts a coroutine that nobody waits for. An exception that leaves it is written to the log.
void Spawn(const Executor& executor, Task<> task);

// Runs `work` on a thread of the pool while the loop goes on.
Task<> OnWorker(asio::thread_pool& pool, std::function<void()> work);

Task<> Sleep(Millis time);

// What a condition variable is to threads: coroutines wait, an event of any kind wakes all of them, and each
// looks again whether it is what it waited for.
class Wakeup {
 public:
  explicit Wakeup(const Executor& executor)
      : timer_(std::make_shared<asio::steady_timer>(executor, Clock::time_point::max())) {}
  Task<> Wait();
  // False after `time` without an event.
  Task<bool> WaitFor(Millis time);
  void NotifyAll() { timer_->cancel(); }

 private:
  std::shared_ptr<asio::steady_timer> timer_;  // never expires; shared with alarms that are under way
};

}  // namespace headrace::serve
