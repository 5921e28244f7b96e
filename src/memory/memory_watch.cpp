#include "memory/memory_watch.h"

#include "base/thread.h"

namespace headrace {

Result<std::unique_ptr<MemoryWatch>> MemoryWatch::Start(std::function<void()> look) {
  std::unique_ptr<MemoryWatch> watch(new MemoryWatch(std::move(look)));
  auto thread = StartThread("headrace-memory", [raw = watch.get()] { raw->Run(); });
  if (!thread.ok()) return thread.status();
  watch->thread_ = std::move(*thread);
  return watch;
}

MemoryWatch::~MemoryWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void MemoryWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kInterval, [this] { return stop_; })) {
    lock.unlock();
    look_();
    lock.lock();
  }
}

}  // namespace headrace
