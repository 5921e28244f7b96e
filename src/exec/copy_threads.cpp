#include "exec/copy_threads.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace headrace {

size_t CopyThreads::Sensible() { return std::clamp<size_t>(std::thread::hardware_concurrency() / 4, 1, 4); }

CopyThreads::~CopyThreads() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  given_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void CopyThreads::Give(std::function<void()> work) {
  while (threads_.size() < wanted_) {
    try {
      threads_.emplace_back(&CopyThreads::Run, this);
    } catch (const std::system_error&) {
      break;
    }
  }
  if (threads_.empty()) return work();
  {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
  }
  given_.notify_one();
}

// The work goes, with all that it holds, before it counts as done.
bool CopyThreads::DoNext(std::unique_lock<std::mutex>& lock) {
  if (work_.empty()) return false;
  ++doing_;
  {
    const std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    work();
  }
  lock.lock();
  if (--doing_ == 0 && work_.empty()) done_.notify_all();
  return true;
}

void CopyThreads::Run() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    if (!DoNext(lock)) given_.wait(lock);
  }
}

void CopyThreads::Finish() {
  std::unique_lock lock(mutex_);
  while (DoNext(lock)) {
  }
  done_.wait(lock, [this] { return doing_ == 0 && work_.empty(); });
}

}  // namespace headrace
