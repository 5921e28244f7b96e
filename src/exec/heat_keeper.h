// What was learned about which experts are popular: outlives the cache that learned it, and the process.
#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "experts/expert_cache.h"
#include "experts/heat_file.h"

namespace headrace {

// One owner at a time. Each model file, so each part of a split model, has a file of its own in the folder "experts" of
// the directory, named by the model file's fingerprint; several processes may keep the same one, and the last wins.
// Nothing here can fail: what cannot be read or written is not kept, with a debug line.
class HeatKeeper {
 public:
  static constexpr std::chrono::milliseconds kInterval{60'000};
  // What the most popular expert of the last run counts in this one: about as much as after 400 tokens of which
  // every second chose it.
  static constexpr double kRecalled = 256;

  // `directory` is created when there is something to write. "": there is none. nullopt: keep nothing on disk.
  explicit HeatKeeper(std::optional<std::string> directory, std::chrono::milliseconds interval = kInterval);
  ~HeatKeeper();
  HeatKeeper(const HeatKeeper&) = delete;
  HeatKeeper& operator=(const HeatKeeper&) = delete;

  // Tells a new cache what is known, and has it read the most popular experts ahead into its free slots.
  void Give(ExpertCache& cache);
  // Takes over what a cache knows, before it goes.
  void Take(const ExpertCache& cache);
  // Takes over and writes to disk what is new.
  void Save(const ExpertCache& cache) noexcept;
  // The same on a thread of its own, once in an interval: for the owner that has no time.
  void SaveRarely(const ExpertCache& cache) noexcept;
  // Forgets all files, before they go.
  void Forget() { sources_.clear(); }

 private:
  struct Source {
    const SourceFile* file = nullptr;
    std::string path;     // "": not kept on disk
    std::string written;  // what the file there holds
    HeatTable table;
  };
  using Files = std::vector<std::pair<std::string, std::string>>;  // path, content

  Source& Find(const SourceFile* file);
  void Recall(Source& source);
  Files Changed(const ExpertCache& cache);
  void Write(const Files& files) noexcept;

  std::optional<std::string> directory_;
  const std::chrono::milliseconds interval_;
  std::chrono::steady_clock::time_point saved_;
  std::list<Source> sources_;
  std::atomic<bool> writable_{true};
  std::thread writer_;
};

}  // namespace headrace
