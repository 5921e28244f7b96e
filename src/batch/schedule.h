// Which request runs when: as many at a time as there are slots, and only while the KV cache has room for all that they
// may come to need, so that the engine never runs out of it. Pure; thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

namespace headrace::batch {

struct Need {
  uint64_t tokens = 0;  // of the KV cache
  uint64_t slots = 1;
};

class Schedule {
 public:
  // Requests are known by any number of the caller's. What needs more than there is runs alone, within what there is.
  Schedule(uint64_t slots, uint64_t tokens) : slots_(slots), tokens_(tokens) {}

  void Add(size_t request, Need need) { waiting_.push_back({request, Clamp(need)}); }

  // The request to start now. Later ones overtake one that has to wait for room, but not without end.
  std::optional<size_t> Next() const;
  // A better estimate for the one that Next returned: ask Next again.
  void SetNeed(size_t request, Need need);

  // The one that Next returned.
  void Start(size_t request);
  // A request under way has its result.
  void Finish(size_t request);
  // A request under way is done again, soon.
  void Repeat(size_t request);
  // All that run died with the engine. They are done again one at a time: who kills it alone is known.
  void RepeatAllAlone();

  bool finished() const { return waiting_.empty() && suspects_.empty() && running_.empty(); }
  size_t running() const { return running_.size(); }
  size_t waiting() const { return waiting_.size() + suspects_.size(); }
  // The one that runs alone after RepeatAllAlone.
  std::optional<size_t> alone() const {
    return alone_ && !running_.empty() ? std::optional(running_.begin()->first) : std::nullopt;
  }

 private:
  struct Waiting {
    size_t request = 0;
    Need need;
  };
  Need Clamp(Need need) const;
  bool Fits(const Need& need) const;
  std::deque<Waiting>::const_iterator Find() const;

  const uint64_t slots_, tokens_;
  std::deque<Waiting> waiting_;
  std::deque<Waiting> suspects_;
  std::unordered_map<size_t, Need> running_;
  Need used_{0, 0};
  uint64_t overtaken_ = 0;  // the first that waits, so often
  bool alone_ = false;
};

}  // namespace headrace::batch
