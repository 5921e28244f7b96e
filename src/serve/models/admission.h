// What the requests of one model share: its slots, and a KV cache. When that is full llama-server breaks all of them
// off, so a request waits here until what it can come to need is free.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <set>

#include "http/net.h"

namespace headrace::serve {

// What a request can come to need.
struct Need {
  uint64_t tokens = 0;  // of the KV cache
  uint64_t slots = 0;
  bool alone = false;  // nobody else is inside meanwhile
};

// Outlives its places. Places are given in the order in which requests came; one for which there is room passes one for
// which there is none, but not when kMostPass others did. Without a pool, and for 0 tokens and slots, everybody may
// enter, but for those who run alone and while one of them does.
class Admission {
 public:
  static constexpr unsigned kMostPass = 8;

  Admission(const Executor& executor, uint64_t pool_tokens) : pool_tokens_(pool_tokens), changed_(executor) {}

  // What is kept for a request, free again when it goes out of scope.
  class Place {
   public:
    Place(Admission& admission, const Need& need, Clock::time_point since)
        : admission_(&admission), need_(need), since_(since) {}
    Place(Place&& other) noexcept
        : admission_(std::exchange(other.admission_, nullptr)), need_(other.need_), since_(other.since_) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (admission_ != nullptr) admission_->Leave(need_, since_);
    }

   private:
    Admission* admission_;
    Need need_;
    Clock::time_point since_;
  };

  // Waits for room; `given_up` is looked at while there is none, several times a second and after Wake: true ends the
  // wait, without a place. More than all there is counts as all.
  Task<std::optional<Place>> Enter(Need need, std::function<bool()> given_up);
  void Wake() { changed_.NotifyAll(); }

  // For those who come from now on.
  void SetPool(uint64_t pool_tokens) {
    pool_tokens_ = pool_tokens;
    Wake();
  }
  // 0: any number.
  void SetSlots(uint64_t slots) {
    slots_ = slots;
    Wake();
  }

  bool limited() const { return pool_tokens_ > 0; }
  size_t waiting() const { return line_.size(); }
  // Until the one at this place in line enters, by how long others stayed; none while nobody is inside.
  std::optional<double> ExpectedWait(size_t place) const;

 private:
  struct InLine {
    const Need need;
    unsigned passed = 0;  // by others
  };
  Need Wanted(const Need& need) const;
  bool Fits(const Need& need) const;
  bool May(const InLine& self) const;
  void Leave(const Need& need, Clock::time_point since);

  uint64_t pool_tokens_, slots_ = 0;
  Need taken_;                               // and whether one runs alone
  std::multiset<Clock::time_point> inside_;  // since when
  std::list<InLine*> line_;
  double mean_s_ = 0;  // that they stayed, the last ones most; 0: none left yet
  Wakeup changed_;
};

}  // namespace headrace::serve
