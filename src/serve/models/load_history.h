// What the loads of each model came to since the server's start. Lives on the loop.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/status.h"

namespace headrace::serve {

// Of one model.
struct LoadSums {
  uint64_t loads = 0, failures = 0;
  uint64_t evictions = 0;  // it was unloaded although nobody asked for that: to make room, or after a time without work
  double seconds = 0;      // that the loads took
};

class LoadHistory {
 public:
  // A load was asked for, and the model is there. `anew`: it was not before. It took `seconds` when it was loaded.
  void Loaded(const std::string& id, double seconds, bool anew);
  void Failed(const std::string& id, const Status& status);
  // It runs no more, for a reason that is not a load's.
  void GaveUp(const std::string& id, std::string error) { errors_[id] = std::move(error); }
  void Evicted(const std::string& id) { ++sums_[id].evictions; }

  const std::map<std::string, LoadSums>& sums() const { return sums_; }
  // Why it was not loaded or given up, "" when it was loaded since.
  std::string LastError(const std::string& id) const;
  // That the last load took.
  std::optional<double> LastSeconds(const std::string& id) const;

 private:
  std::map<std::string, LoadSums> sums_;
  std::map<std::string, std::string> errors_;
  std::map<std::string, double> seconds_;
};

}  // namespace headrace::serve
