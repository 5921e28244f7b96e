#include "serve/models/culprits.h"

#include <algorithm>

namespace headrace::serve {
namespace {

constexpr std::chrono::minutes kRemembered{10};
constexpr unsigned kEnds = 2;
constexpr size_t kMostRecords = 1024;

}  // namespace

const Culprits::Record* Culprits::Find(uint64_t request, Clock::time_point now) const {
  const auto found = records_.find(request);
  return found == records_.end() || now - found->second.last > kRemembered ? nullptr : &found->second;
}

void Culprits::NoteEnd(const std::vector<uint64_t>& running, Clock::time_point now) {
  std::erase_if(records_, [&](const auto& record) { return now - record.second.last > kRemembered; });
  for (const uint64_t request : running) {
    if (records_.size() >= kMostRecords && !records_.contains(request)) {
      records_.erase(std::min_element(records_.begin(), records_.end(),
                                      [](const auto& a, const auto& b) { return a.second.last < b.second.last; }));
    }
    Record& record = records_[request];
    ++record.ends;
    record.alone = record.alone || running.size() == 1;
    record.last = now;
  }
}

bool Culprits::Suspected(uint64_t request, Clock::time_point now) const { return Find(request, now) != nullptr; }

std::chrono::seconds Culprits::RefusedFor(uint64_t request, Clock::time_point now) const {
  const Record* record = Find(request, now);
  if (record == nullptr || record->ends < kEnds || !record->alone) return std::chrono::seconds(0);
  return std::chrono::ceil<std::chrono::seconds>(record->last + kRemembered - now) + std::chrono::seconds(1);
}

}  // namespace headrace::serve
