// Downloads of models that were asked for through the port, on a thread of their own, one after the other.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "http/net.h"
#include "models/pull.h"
#include "serve/models/settings.h"

namespace headrace::serve {

// The hub's cache is one of the places whose models are offered: what is pulled can be asked then. Error: kUnsupported.
Status CheckDownloadsOffered(const Settings& settings);

// Shared by who waits for it and the thread.
class Download {
 public:
  // None as long as it goes on.
  std::optional<Result<PulledModel>> End() const;
  PullProgress Progress() const;  // before it begins of no file
  // The same download goes on from there.
  void Stop() { stop_ = true; }

 private:
  friend class Downloads;
  std::atomic<bool> stop_ = false;
  mutable std::mutex mutex_;
  PullProgress progress_;                   // guarded by mutex_
  std::optional<Result<PulledModel>> end_;  // guarded by mutex_
};

// Lives on the loop.
class Downloads {
 public:
  // `source`: as PullRequest has it.
  std::shared_ptr<Download> Start(std::string source);
  bool ending() const { return ending_; }
  // Stops what runs and takes nothing more.
  void Finish() { ending_ = true; }
  // Waits for the thread. After Finish.
  void Join() { thread_.join(); }

 private:
  void Run(Download& download, const std::string& source);

  std::atomic<bool> ending_ = false;
  asio::thread_pool thread_{1};
};

}  // namespace headrace::serve
