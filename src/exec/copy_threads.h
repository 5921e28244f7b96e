// Threads that copy bytes to a device. One thread's stores fill no bus: 10.7 GB/s from one, 21 from two, 33 from four
// on an H100 (Vulkan), where the device's memory is mapped and its driver copies in the thread that asks.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace headrace {

// One thread gives work. The threads start with the first.
class CopyThreads {
 public:
  // A quarter of the processors, at most as many as gain something: they share the memory with the disk's reads.
  static size_t Sensible();

  explicit CopyThreads(size_t threads) : wanted_(threads) {}
  ~CopyThreads();
  CopyThreads(const CopyThreads&) = delete;
  CopyThreads& operator=(const CopyThreads&) = delete;

  // Has it done by one of the threads, or does it where the system has none left. It must not throw.
  void Give(std::function<void()> work);
  // Returns when all that was given is done, and gone; helps with it.
  void Finish();

 private:
  void Run();
  bool DoNext(std::unique_lock<std::mutex>& lock);

  const size_t wanted_;
  std::vector<std::thread> threads_;  // of the thread that gives

  std::mutex mutex_;  // guards all below
  std::condition_variable given_, done_;
  std::deque<std::function<void()>> work_;
  size_t doing_ = 0;
  bool ends_ = false;
};

}  // namespace headrace
