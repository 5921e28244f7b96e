// Requests that ended the engine. One that did so twice is refused for a while: it would end it for everybody else each
// time it is repeated. A model's process may end for other reasons, so nobody is refused for having been there once;
// but whoever was there runs alone the next time, and is then known. Pure.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "http/net.h"

namespace headrace::serve {

class Culprits {
 public:
  // The engine ended by its own fault while these requests, by fingerprint, were computed.
  void NoteEnd(const std::vector<uint64_t>& running, Clock::time_point now);

  // Was there when the engine ended: others wait while it runs.
  bool Suspected(uint64_t request, Clock::time_point now) const;
  // Ended it, twice and alone at least once. How long it stays refused; zero: it is not.
  std::chrono::seconds RefusedFor(uint64_t request, Clock::time_point now) const;

 private:
  struct Record {
    unsigned ends = 0;
    bool alone = false;
    Clock::time_point last;
  };
  const Record* Find(uint64_t request, Clock::time_point now) const;

  std::unordered_map<uint64_t, Record> records_;
};

}  // namespace headrace::serve
