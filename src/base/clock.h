// The clock of times that are added up.
#pragma once

#include <chrono>
#include <cstdint>

namespace headrace {

// Nanoseconds since some moment; never goes back.
inline uint64_t Now() {
  return static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

}  // namespace headrace
