#include "serve/models/admission.h"

#include <algorithm>

#include "serve/models/waiting_line.h"

namespace headrace::serve {
namespace {
constexpr double kNewest = 0.3;  // of the mean
}  // namespace

// The pool may become smaller while somebody waits.
Need Admission::Wanted(const Need& need) const {
  Need wanted = need;
  wanted.tokens = std::min(need.tokens, pool_tokens_);
  if (slots_ > 0) wanted.slots = std::min(need.slots, slots_);
  return wanted;
}

bool Admission::Fits(const Need& need) const {
  const Need wanted = Wanted(need);
  return taken_.tokens + wanted.tokens <= pool_tokens_ && (slots_ == 0 || taken_.slots + wanted.slots <= slots_);
}

bool Admission::May(const InLine& self) const {
  if (taken_.alone || (self.need.alone && !inside_.empty())) return false;
  const bool small = self.need.tokens == 0 && self.need.slots == 0 && !self.need.alone;
  for (const InLine* each : line_) {
    if (each == &self) break;
    if (each->need.alone) return false;
    if (!small && (each->passed >= kMostPass || self.need.alone || Fits(each->need))) return false;
  }
  return Fits(self.need);
}

Task<std::optional<Admission::Place>> Admission::Enter(Need need, std::function<bool()> given_up) {
  InLine self{need};
  const auto at = line_.insert(line_.end(), &self);
  bool enters = May(self);
  while (!enters && !given_up()) {
    co_await changed_.WaitFor(kWaiterLook);
    enters = May(self);
  }
  if (enters && (need.tokens > 0 || need.slots > 0))
    std::for_each(line_.begin(), at, [](InLine* each) { ++each->passed; });
  line_.erase(at);
  changed_.NotifyAll();
  if (!enters) co_return std::nullopt;
  need = Wanted(need);
  taken_.tokens += need.tokens;
  taken_.slots += need.slots;
  taken_.alone = need.alone;
  const auto now = Clock::now();
  inside_.insert(now);
  co_return Place(*this, need, now);
}

void Admission::Leave(const Need& need, Clock::time_point since) {
  taken_.tokens -= need.tokens;
  taken_.slots -= need.slots;
  taken_.alone = false;
  inside_.erase(inside_.find(since));
  const double stayed = std::chrono::duration<double>(Clock::now() - since).count();
  if (need.tokens > 0 || need.slots > 0) mean_s_ = mean_s_ == 0 ? stayed : mean_s_ + kNewest * (stayed - mean_s_);
  changed_.NotifyAll();
}

std::optional<double> Admission::ExpectedWait(size_t place) const {
  if (inside_.empty()) return std::nullopt;
  const double oldest = std::chrono::duration<double>(Clock::now() - *inside_.begin()).count();
  return std::max(mean_s_, oldest) * static_cast<double>(place) / static_cast<double>(inside_.size());
}

}  // namespace headrace::serve
