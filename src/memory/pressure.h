// How much a process should hold back because memory is so short that programs wait for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace headrace {

// Microseconds for which all programs at once have waited for memory since the system started: the line "full" of
// /proc/pressure/memory. nullopt for text that has none.
std::optional<uint64_t> ParseFullStall(std::string_view text);

// What counts as available memory includes other programs' page cache, which they may need: a mapped model, a
// database. When they get too little the kernel reads the same pages again and again, and everybody waits. So
// while more than a tenth of the time is lost like that, an eighth more is held back each second, half at most; it is
// given back in the same steps after ten seconds without.
//
// One thread at a time.
class PressureBrake {
 public:
  using Clock = std::chrono::steady_clock;
  // The part of the available memory to hold back, 0 to 1/2. Called at least every second.
  double Update(std::optional<uint64_t> full_stall_us, Clock::time_point now);

 private:
  std::optional<uint64_t> stall_us_;  // at `since_`
  Clock::time_point since_;
  Clock::time_point calm_since_;
  double held_back_ = 0;
};

}  // namespace headrace
