#include "serve/models/admission.h"

#include <algorithm>

namespace headrace::serve {

Task<Admission::Place> Admission::Enter(uint64_t tokens, std::function<bool()> given_up, bool alone) {
  tokens = std::min(tokens, pool_tokens_);
  const bool waits = tokens > 0 || alone;
  const uint64_t number = next_++;
  if (waits) line_.push_back(number);
  alone_waiting_ += alone;
  // The pool may have become smaller meanwhile.
  const auto wanted = [&] { return std::min(tokens, pool_tokens_); };
  const auto may = [&] {
    if (one_alone_ || (alone && inside_ > 0)) return false;
    // Who needs nothing passes those who wait for tokens, not one who must be alone.
    return waits ? (line_.front() == number && taken_ + wanted() <= pool_tokens_) : alone_waiting_ == 0;
  };
  while (!given_up() && !may()) co_await changed_.Wait();
  const bool enters = !given_up();
  if (waits) std::erase(line_, number);
  alone_waiting_ -= alone;
  tokens = wanted();
  if (enters) {
    taken_ += tokens;
    ++inside_;
    one_alone_ = alone;
  }
  changed_.NotifyAll();
  co_return Place(*this, tokens, enters);
}

void Admission::Leave(uint64_t tokens) {
  taken_ -= tokens;
  --inside_;
  one_alone_ = false;
  changed_.NotifyAll();
}

}  // namespace headrace::serve
