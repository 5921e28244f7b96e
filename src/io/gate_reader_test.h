// For tests of what is read in which order.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "io/reader.h"

namespace headrace {

// The real reader behind a gate: notes the reads in the order in which they begin, and holds their results back.
class GateReader final : public Reader {
 public:
  explicit GateReader(std::unique_ptr<Reader> base) : base_(std::move(base)) {}
  std::string_view name() const override { return base_->name(); }
  unsigned depth() const override { return base_->depth(); }
  unsigned in_flight() const override { return base_->in_flight(); }
  uint64_t retries() const override { return base_->retries(); }
  void Submit(std::span<const ReadRequest> requests) override {
    {
      const std::lock_guard lock(mutex_);
      for (const ReadRequest& request : requests) offsets_.push_back(request.offset);
    }
    begun_.notify_all();
    base_->Submit(requests);
  }
  void CollectFor(Patience patience, std::vector<ReadResult>& results) override {
    {
      std::unique_lock lock(mutex_);
      opened_.wait(lock, [this] { return open_; });
    }
    base_->CollectFor(patience, results);
  }

  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  // The offsets of all reads so far, at least `count`.
  std::vector<uint64_t> Begun(size_t count) {
    std::unique_lock lock(mutex_);
    begun_.wait(lock, [&] { return offsets_.size() >= count; });
    return offsets_;
  }

 private:
  const std::unique_ptr<Reader> base_;
  std::mutex mutex_;
  std::condition_variable begun_, opened_;
  std::vector<uint64_t> offsets_;
  bool open_ = false;
};

}  // namespace headrace
