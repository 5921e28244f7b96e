#include "http/net.h"

#include <exception>
#include <string>

#include "base/log.h"

namespace headrace::serve {

void Spawn(const Executor& executor, Task<> task) {
  asio::co_spawn(executor, std::move(task), [](std::exception_ptr failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      LogWarning(std::string("internal error: ") + error.what());
    }
  });
}

Task<> OnWorker(asio::thread_pool& pool, std::function<void()> work) {
  const auto run = [](const std::function<void()>& job) -> Task<> {
    job();
    co_return;
  };
  co_await asio::co_spawn(pool, run(work), asio::use_awaitable);
}

Task<> Sleep(Millis time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  ErrorCode ignored;
  co_await timer.async_wait(Into(ignored));
}

Task<> Wakeup::Wait() {
  const auto timer = timer_;
  ErrorCode ignored;
  co_await timer->async_wait(Into(ignored));
}

Task<bool> Wakeup::WaitFor(Millis time) {
  const auto expired = std::make_shared<bool>(false);
  asio::steady_timer alarm(co_await asio::this_coro::executor, time);
  alarm.async_wait([timer = timer_, expired](ErrorCode error) {
    if (error) return;
    *expired = true;
    timer->cancel();
  });
  co_await Wait();
  alarm.cancel();
  co_return !*expired;
}

}  // namespace headrace::serve
