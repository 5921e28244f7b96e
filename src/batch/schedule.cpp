#include "batch/schedule.h"

#include <algorithm>

namespace headrace::batch {
namespace {

constexpr size_t kLookAhead = 64;

}  // namespace

Need Schedule::Clamp(Need need) const {
  return {std::min(need.tokens, tokens_), std::min(std::max<uint64_t>(need.slots, 1), slots_)};
}

bool Schedule::Fits(const Need& need) const {
  return used_.tokens + need.tokens <= tokens_ && used_.slots + need.slots <= slots_;
}

std::deque<Schedule::Waiting>::const_iterator Schedule::Find() const {
  const size_t ahead = overtaken_ < 2 * slots_ ? kLookAhead : 1;
  const auto end = waiting_.begin() + static_cast<ptrdiff_t>(std::min(ahead, waiting_.size()));
  const auto found = std::find_if(waiting_.begin(), end, [&](const Waiting& waiting) { return Fits(waiting.need); });
  return found == end ? waiting_.end() : found;
}

std::optional<size_t> Schedule::Next() const {
  if (alone_ && !running_.empty()) return std::nullopt;
  if (!suspects_.empty()) return running_.empty() ? std::optional(suspects_.front().request) : std::nullopt;
  const auto found = Find();
  return found == waiting_.end() ? std::nullopt : std::optional(found->request);
}

void Schedule::SetNeed(size_t request, Need need) {
  for (auto* queue : {&suspects_, &waiting_}) {
    for (Waiting& waiting : *queue) {
      if (waiting.request != request) continue;
      waiting.need = Clamp(need);
      return;
    }
  }
}

void Schedule::Start(size_t request) {
  const bool suspect = !suspects_.empty();
  auto& queue = suspect ? suspects_ : waiting_;
  const auto found =
      std::find_if(queue.begin(), queue.end(), [&](const Waiting& waiting) { return waiting.request == request; });
  if (found == queue.end()) return;
  alone_ = suspect;
  if (!suspect) overtaken_ = found == queue.begin() ? 0 : overtaken_ + 1;
  running_.emplace(request, found->need);
  used_.tokens += found->need.tokens;
  used_.slots += found->need.slots;
  queue.erase(found);
}

void Schedule::Finish(size_t request) {
  const auto found = running_.find(request);
  if (found == running_.end()) return;
  used_.tokens -= found->second.tokens;
  used_.slots -= found->second.slots;
  running_.erase(found);
  if (running_.empty()) alone_ = false;
}

void Schedule::Repeat(size_t request) {
  const auto found = running_.find(request);
  if (found == running_.end()) return;
  (alone_ ? suspects_ : waiting_).push_front({request, found->second});
  Finish(request);
}

void Schedule::RepeatAllAlone() {
  for (const auto& [request, need] : running_) suspects_.push_back({request, need});
  running_.clear();
  used_ = {0, 0};
  alone_ = false;
}

}  // namespace headrace::batch
