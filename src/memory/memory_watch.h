// Looks several times a second at what the process may use, so that memory is given back before the kernel has to kill
// or swap, also while a pass takes long or nobody computes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/status.h"

namespace headrace {

class MemoryWatch {
 public:
  // A look costs some 50 microseconds; a process that allocates as fast as memory gives it takes 0.2 to 2 GB meanwhile.
  static constexpr std::chrono::milliseconds kInterval{200};

  // Calls `look` each interval on a thread of its own, until this is destroyed. Errors: kIo.
  static Result<std::unique_ptr<MemoryWatch>> Start(std::function<void()> look);
  // Waits for a look that has begun.
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

 private:
  explicit MemoryWatch(std::function<void()> look) : look_(std::move(look)) {}
  void Run();

  const std::function<void()> look_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;   // guarded by mutex_
  std::thread thread_;  // last: started when all else exists
};

}  // namespace headrace
