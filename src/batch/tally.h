// How far a batch is, and how long the rest will take. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace headrace::batch {

// Work of a request, finished or not: tokens of its answer, and those of its prompt, which share passes and so cost
// less.
struct Work {
  uint64_t prompt_tokens = 0;
  uint64_t answer_tokens = 0;  // of unfinished ones: at most

  double amount(double answer_share = 1) const;
  Work& operator+=(const Work& more);
  Work& operator-=(const Work& less);
};

struct Tally {
  uint64_t requests = 0;  // lines of the file that are no blank ones
  uint64_t earlier = 0;   // of these had a result when this run began
  uint64_t done = 0;      // in this run, failed ones included
  uint64_t failed = 0;
  uint64_t cut_off = 0;  // answers that the context ended, not their own limit
  Work finished;         // in this run
  Work limits;           // the same as they were foretold: answers at their limits
  Work waiting;          // what has no result yet, as foretold
  Work under_way;        // what was computed of it
  uint64_t passes = 0;   // 0: not counted, nothing streams
  double seconds = 0;    // since the engine answered first

  // 0 when it cannot be told yet.
  double SecondsLeft() const;
};

// "12 of 64 requests, 2 failed, 45.2 tokens/s, 3 min 20 s left".
std::string ProgressText(const Tally& tally);
// "64 requests in 3 min 20 s, 2 failed, ..."
std::string SummaryText(const Tally& tally);

}  // namespace headrace::batch
