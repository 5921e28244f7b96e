#include "serve/models/waiting_line.h"

#include <algorithm>

#include <fmt/format.h>

namespace headrace::serve {

Status Waiter::Wait() {
  if (gone_()) return Status(Code::kCancelled, "nobody waits for the answer any more");
  const WaitLimits& limits = line_.limits_;
  const auto now = Clock::now();
  if (!since_) {
    if (line_.line_.size() >= limits.most) {
      refused_ = Refused::kFull;
      return Status(
          Code::kCancelled,
          fmt::format("{} is busy, and {} requests wait already, as many as --queue-max lets wait; try again later",
                      model_, line_.line_.size()));
    }
    since_ = now;
    line_.line_.push_back(this);
  }
  if (limits.longest.count() > 0 && waited_ + (now - *since_) >= limits.longest) {
    refused_ = Refused::kLate;
    return Status(Code::kCancelled, fmt::format("{} is busy, and this request has waited for {} s, as long as "
                                                "--queue-timeout lets it wait; try again later",
                                                model_, limits.longest.count()));
  }
  return {};
}

void Waiter::Stop() {
  if (!since_) return;
  waited_ += Clock::now() - *since_;
  since_.reset();
  line_.line_.remove(this);
}

size_t Waiter::place() const {
  if (!since_ && refused_ != Refused::kFull) return 0;
  const auto self = std::find(line_.line_.begin(), line_.line_.end(), this);
  return 1 + static_cast<size_t>(
                 std::count_if(line_.line_.begin(), self, [&](const Waiter* each) { return each->model_ == model_; }));
}

Clock::duration Waiter::FirstWaits() const {
  const auto first =
      std::find_if(line_.line_.begin(), line_.line_.end(), [&](const Waiter* each) { return each->model_ == model_; });
  return first == line_.line_.end() ? Clock::duration(0) : Clock::now() - *(*first)->since_;
}

}  // namespace headrace::serve
