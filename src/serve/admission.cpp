#include "serve/admission.h"

#include <algorithm>

namespace headrace::serve {

Task<Admission::Place> Admission::Enter(uint64_t tokens, std::function<bool()> given_up) {
  tokens = std::min(tokens, pool_tokens_);
  if (tokens == 0) co_return Place(*this, 0);
  const uint64_t number = next_++;
  line_.push_back(number);
  // The pool may have become smaller meanwhile.
  const auto wanted = [&] { return std::min(tokens, pool_tokens_); };
  while (!given_up() && (line_.front() != number || taken_ + wanted() > pool_tokens_)) co_await changed_.Wait();
  tokens = wanted();
  if (given_up()) tokens = 0;
  std::erase(line_, number);
  taken_ += tokens;
  changed_.NotifyAll();
  co_return Place(*this, tokens);
}

void Admission::Leave(uint64_t tokens) {
  taken_ -= tokens;
  changed_.NotifyAll();
}

}  // namespace headrace::serve
