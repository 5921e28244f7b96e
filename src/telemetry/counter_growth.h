// Sums a counter that starts again from zero when the object that counts is made anew.
#pragma once

#include <cstdint>

namespace headrace {

class CounterGrowth {
 public:
  // What was counted since the last time, when the counter stands at `total` now.
  uint64_t Advance(uint64_t total) {
    const uint64_t added = total >= seen_ ? total - seen_ : total;
    seen_ = total;
    return added;
  }

 private:
  uint64_t seen_ = 0;
};

}  // namespace headrace
