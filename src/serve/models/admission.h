// The KV cache that the requests of one model share. When it is full llama-server breaks all of them off, so a request
// waits here, in the order in which they came, until what it can come to need is free.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "http/net.h"

namespace headrace::serve {

// Outlives its places. Without a pool, and for 0 tokens, everybody may enter, but for those who run alone and while one
// of them does.
class Admission {
 public:
  Admission(const Executor& executor, uint64_t pool_tokens) : pool_tokens_(pool_tokens), changed_(executor) {}

  // Tokens that are kept for a request, free again when it goes out of scope.
  class Place {
   public:
    Place(Admission& admission, uint64_t tokens, bool inside)
        : admission_(&admission), tokens_(tokens), inside_(inside) {}
    Place(Place&& other) noexcept
        : admission_(std::exchange(other.admission_, nullptr)), tokens_(other.tokens_), inside_(other.inside_) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (admission_ != nullptr && inside_) admission_->Leave(tokens_);
    }

   private:
    Admission* admission_;
    uint64_t tokens_;
    bool inside_;
  };

  // Returns when there is room, or as soon as `given_up` (looked at after Wake) without any. More than all there is
  // counts as all. `alone`: nobody else is inside meanwhile.
  Task<Place> Enter(uint64_t tokens, std::function<bool()> given_up, bool alone = false);
  void Wake() { changed_.NotifyAll(); }

  // For those who come from now on.
  void SetPool(uint64_t pool_tokens) {
    pool_tokens_ = pool_tokens;
    Wake();
  }

  bool limited() const { return pool_tokens_ > 0; }
  size_t waiting() const { return line_.size(); }

 private:
  void Leave(uint64_t tokens);

  uint64_t pool_tokens_;
  uint64_t taken_ = 0;
  size_t inside_ = 0, alone_waiting_ = 0;
  bool one_alone_ = false;
  uint64_t next_ = 0;
  std::deque<uint64_t> line_;  // those who wait, by number
  Wakeup changed_;
};

}  // namespace headrace::serve
