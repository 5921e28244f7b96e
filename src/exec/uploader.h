// The copies of managed weights that the engine makes for a device while a pass runs. What is in memory comes from
// there, the rest from the pass's own schedule, or from a read of its own where that did not expect it: never through
// page faults.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/size.h"
#include "exec/copy_threads.h"
#include "exec/expert_store.h"
#include "exec/running_pass.h"
#include "stream/range_copy.h"

namespace headrace {

// The thread that computes the pass. Uploads have their turns in the order of their products; the engine makes all
// copies of a split before it computes any of its products, and each weight once for a split.
class Uploader {
 public:
  using Take = RangeCopy::Take;

  // All outlive it.
  Uploader(const GgmlApi& api, RunningPass& pass, ExpertStore& experts, RangeCopy& others)
      : api_(api), pass_(pass), experts_(experts), others_(others) {}

  // A pass begins.
  void Begin();
  // The scheduler is about to have a weight copied, and its device knows by now what the routers before it chose.
  const Status& BeforeCopy(const void* data);
  // Whether the copy is in the plan, or so large that the mapping would be slower than a read of its own: small ones,
  // as of norms, stay in the page cache.
  bool Takes(const void* data, uint64_t bytes) { return bytes > kSmall || Find(data) != nullptr; }
  // The engine copies `bytes` at `data` of a mapped weight, whose origin is given. Where `by_threads`, several of them
  // call `take` at a time. Errors: the read's; they are failure() from then on.
  const Status& Copy(const void* data, uint64_t bytes, const Origin& origin, const Take& take, bool by_threads);
  // A product is computed, or all are (null): its copy will not be asked for any more.
  const Status& End(const ggml_tensor* node);

  void Fail(const Status& status) { failure_ = status; }
  const Status& failure() const { return failure_; }
  // In this pass; and those of them that came from memory.
  uint64_t bytes_copied() const { return copied_; }
  uint64_t bytes_from_memory() const { return from_memory_; }

 private:
  static constexpr uint64_t kSmall = 256 * kKiB;

  // A segment of the ring from which threads copy. The last that uses it gives it back, if nothing more of it is
  // wanted.
  struct SegmentUse {
    Prefetcher& prefetcher;
    size_t number;
    bool passed = false;
    ~SegmentUse() {
      if (passed) prefetcher.Release(number);
    }
  };

  Takeover* Find(const void* data);
  Takeover* FindKept(const void* data);
  Status CopyAny(const void* data, uint64_t bytes, const Origin& origin, const Take& take);
  Status CopyWhole(Takeover& takeover, const Take& take);
  Status CopyExperts(Takeover& takeover, uint64_t begin, uint64_t end, const Origin& origin, const Take& take);
  Status BeginExperts(Takeover& takeover);
  Result<uint64_t> CopyFromCache(Takeover& takeover, uint64_t begin, uint64_t end, uint64_t offset, const Take& take);
  Result<uint64_t> CopyFromRing(Takeover& takeover, uint64_t begin, uint64_t end, uint64_t offset, const Take& take);
  Status ReleaseBelow(Takeover& takeover, uint64_t place);
  Status Leave();
  Status LeaveUpTo(const Takeover& takeover);
  Result<const uint8_t*> UseSegment(Takeover& takeover, uint64_t bytes);
  void Pass();
  // `holds` lives until the bytes are copied, as in GivePieces.
  void TakeExpert(const uint8_t* data, uint64_t begin, uint64_t bytes, uint64_t expert_bytes, uint64_t offset,
                  const Take& take, const std::shared_ptr<void>& holds);
  // Has `take` get bytes that go to `offset`, and has them copied to `keep_at`, too, where that is not null.
  void GivePieces(const uint8_t* data, uint64_t offset, uint64_t bytes, uint8_t* keep_at,
                  const std::shared_ptr<void>& holds, const Take& take);
  void Give(std::function<void()> copy);
  void Finish();

  const GgmlApi& api_;
  RunningPass& pass_;
  ExpertStore& experts_;
  RangeCopy& others_;
  std::vector<uint8_t> choice_;                 // of a router, as its device has it
  std::array<uint8_t, kReadAlignment> head_{};  // the first bytes of the expert that was copied last
  Status failure_;
  size_t segment_ = 0;               // of the takeover whose turn it is: the first that was not passed
  std::shared_ptr<SegmentUse> use_;  // of that segment in the copy that is made
  bool by_threads_ = false;
  CopyThreads threads_{CopyThreads::Sensible()};
  uint64_t from_memory_ = 0, copied_ = 0;
};

}  // namespace headrace
