#include "io/faulty_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/size.h"
#include "io/slot_reader.h"

namespace headrace {
namespace {

using Clock = std::chrono::steady_clock;

class FaultyReader final : public SlotReader {
 public:
  FaultyReader(std::unique_ptr<Reader> base, const FaultSpec& spec)
      : SlotReader(base->depth()), base_(std::move(base)), spec_(spec), limits_(depth()), late_(depth()) {}

  std::string_view name() const override { return base_->name(); }
  unsigned at_once() const override { return base_->at_once(); }
  uint64_t retries() const override { return SlotReader::retries() + base_->retries(); }

 private:
  struct Held {
    unsigned index;
    uint64_t order;
    Clock::time_point due;
    Status status;
  };

  void Start(std::span<const unsigned> slots) override {
    for (const unsigned index : slots) Begin(index);
  }

  void Reap(Patience patience) override {
    const size_t before = finished();
    const uint64_t begun = Now();
    for (;;) {
      const Patience left = patience == kForEver ? patience : patience - Patience(Now() - begun);
      const bool block = left > kNoWait;
      while (base_->in_flight() > 0) {
        TakeResults(block && (spec_.reorder || held_.empty()) ? left : kNoWait);
        if (!spec_.reorder || !block) break;
      }
      Release();
      if (!block || finished() > before || (base_->in_flight() == 0 && held_.empty())) return;
      if (!held_.empty()) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

  bool Hit(const ReadProgress& progress) {
    const bool overlaps = progress.offset() < spec_.end && progress.offset() + progress.length() > spec_.begin;
    if (progress.request().file->path().find(spec_.path) == std::string::npos) return false;
    if (spec_.direct && !progress.request().file->direct()) return false;
    if (!overlaps || matched_++ < spec_.after || hits_ >= spec_.times) return false;
    ++hits_;
    return true;
  }

  void Begin(unsigned index) {
    late_[index] = false;
    Read(index);
  }

  // One read, which may fail at once and be tried again.
  void Read(unsigned index) {
    ReadProgress& progress = slot(index);
    limits_[index] = progress.length();
    while (Hit(progress)) {
      late_[index] = true;
      if (spec_.error != 0 || spec_.truncated) {
        if (progress.Advance(-spec_.error)) return Hold(index, progress.status());
        limits_[index] = progress.length();
        continue;
      }
      if (spec_.short_bytes > 0) limits_[index] = std::min(progress.length(), spec_.short_bytes);
      break;
    }
    ReadRequest part = progress.request();
    part.offset = progress.offset();
    part.length = static_cast<uint32_t>(AlignUp(limits_[index], kReadAlignment));
    part.destination = progress.destination();
    part.tag = index;
    base_->Submit({&part, 1});
  }

  void TakeResults(Patience patience) {
    results_.clear();
    base_->CollectFor(patience, results_);
    for (ReadResult& result : results_) {
      const auto index = static_cast<unsigned>(result.tag);
      ReadProgress& progress = slot(index);
      if (!result.status.ok()) {
        Hold(index, std::move(result.status));
      } else if (progress.Advance(static_cast<int64_t>(
                     std::min<uint64_t>(limits_[index], progress.request().file->size() - progress.offset())))) {
        Hold(index, progress.status());
      } else {
        Read(index);
      }
    }
  }

  void Hold(unsigned index, Status status) {
    held_.push_back({index, order_++, Clock::now() + std::chrono::microseconds(late_[index] ? spec_.delay_us : 0),
                     std::move(status)});
  }

  void Release() {
    if (spec_.reorder && base_->in_flight() > 0) return;
    if (spec_.reorder) std::reverse(held_.begin(), held_.end());
    const auto now = Clock::now();
    for (Held& held : held_) {
      if (held.due <= now) Finish(held.index, std::move(held.status));
    }
    std::erase_if(held_, [&](const Held& held) { return held.due <= now; });
    std::sort(held_.begin(), held_.end(), [](const Held& a, const Held& b) { return a.order < b.order; });
  }

  const std::unique_ptr<Reader> base_;
  const FaultSpec spec_;
  std::vector<uint32_t> limits_;  // for each slot, the most bytes that the present read may return
  std::vector<bool> late_;        // for each slot, whether its request was hit
  std::vector<Held> held_;
  std::vector<ReadResult> results_;
  uint64_t order_ = 0;
  uint64_t matched_ = 0;
  uint64_t hits_ = 0;
};

}  // namespace

std::unique_ptr<Reader> MakeFaultyReader(std::unique_ptr<Reader> base, const FaultSpec& spec) {
  return std::make_unique<FaultyReader>(std::move(base), spec);
}

}  // namespace headrace
