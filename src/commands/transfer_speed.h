// How fast something has come lately, and how long the rest will take. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

namespace headrace::cli {

class TransferSpeed {
 public:
  // At this time (seconds, never less than before) so many bytes were there.
  void Add(double seconds, uint64_t bytes);
  // Over the last ten seconds; 0 while nobody knows.
  double bytes_per_s() const;

 private:
  std::deque<std::pair<double, uint64_t>> samples_;
};

// "45 s", "3 min 20 s", "2 h 5 min".
std::string TimeText(double seconds);

}  // namespace headrace::cli
