// Whether there is room for memory that is about to be touched for the first time. Weights fill memory as fast as the
// disk gives them, several GB in a second, and a limit can fall at any moment to just above what is in use. So whoever
// fills memory asks here before each piece, and leaves out a piece that has no room. What is touched between two
// questions is the most by which a limit that falls meanwhile can be exceeded; it does not grow with the speed of
// filling.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "base/text_file.h"
#include "memory/cgroup.h"

namespace headrace {

// Thread-safe.
class Headroom {
 public:
  explicit Headroom(ReadText read) : read_(std::move(read)) {}
  virtual ~Headroom() = default;

  // Whether so many bytes more may be touched: the control groups and the machine then still have 32 MiB, half of what
  // a plan leaves free at least. Takes some microseconds, where page cache fills a group about a hundred.
  virtual bool Has(uint64_t bytes);

  // Touches committed memory, piece by piece and each one only if there is room for it. Memory that holds something
  // keeps it. True when all of it is touched.
  bool Touch(std::byte* data, uint64_t bytes);

  // Whether somebody was told that there is no room since this was last asked.
  bool TakeRefused() { return refused_.exchange(false); }

  // The most that is touched after one question.
  static constexpr uint64_t kPieceBytes = 512 * 1024;

 private:
  using Clock = std::chrono::steady_clock;
  // For so long an answer "no", which groups there are, and what the machine has are believed.
  static constexpr std::chrono::milliseconds kSameAnswer{5}, kSameGroups{200}, kSameMachine{5};

  bool Look(uint64_t bytes);  // needs mutex_

  const ReadText read_;
  std::atomic<bool> refused_{false};
  std::mutex mutex_;  // guards all below
  std::vector<Cgroup> groups_;
  Clock::time_point groups_found_, machine_seen_, refused_at_;
  uint64_t machine_bytes_ = 0;  // available at machine_seen_, less what was touched since
};

}  // namespace headrace
