// The loop of a thread that reads: asks what is to be read next, keeps the reader busy, hands over what has finished.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "io/reader.h"

namespace headrace {

// Returns when `stop` is true and nothing is in flight. `mutex` guards what the functions and `stop` touch; it is not held
// while the disk is waited for.
//   bool next(ReadRequest&)                       with the mutex; false: nothing to read now, or stopping
//   void finish(const std::vector<ReadResult>&)   with the mutex; at least one has finished
// Whoever changes what `next` says notifies `work`.
template <typename Next, typename Finish>
void RunReadLoop(Reader& reader, std::mutex& mutex, std::condition_variable& work, const bool& stop, Next next, Finish finish) {
  std::vector<ReadRequest> requests;
  std::vector<ReadResult> results;
  std::unique_lock lock(mutex);
  while (true) {
    requests.clear();
    ReadRequest request;
    while (reader.in_flight() + requests.size() < reader.depth() && next(request)) requests.push_back(request);
    if (requests.empty() && reader.in_flight() == 0) {
      if (stop) return;
      work.wait(lock);
      continue;
    }
    lock.unlock();
    if (!requests.empty()) reader.Submit(requests);
    results.clear();
    reader.Collect(true, results);
    lock.lock();
    finish(results);
  }
}

}  // namespace headrace
