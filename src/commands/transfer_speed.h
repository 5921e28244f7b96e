// How fast something has come lately. Pure.
#pragma once

#include <cstdint>
#include <deque>
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

}  // namespace headrace::cli
