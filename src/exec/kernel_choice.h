// Which kernels multiply the streamed weights of a pass: repacked ones cost a conversion of each tile,
// plain ones are 4 to 5 times slower for wide batches.
#pragma once

#include <cstdint>

#include "base/config.h"

namespace headrace {

// One owner.
class KernelChoice {
 public:
  // Batches from this width on always repay the conversion (docs/benchmarks.md).
  static constexpr int64_t kWideColumns = 8;

  KernelChoice(Kernels kernels, double disk_bytes_per_s) : kernels_(kernels), disk_bytes_per_s_(disk_bytes_per_s) {}

  // True when streamed rows are to be repacked for a product with that many columns.
  bool PackStreamed(int64_t columns) const {
    if (kernels_ != Kernels::kAuto) return kernels_ == Kernels::kRepack;
    return columns >= kWideColumns || !decided_ || pack_narrow_;
  }

  // The same for experts, wherever they come from; and whether the cache holds them repacked. Narrow batches gain
  // little from repacked experts with few threads, and every one that is read would be converted.
  bool PackExperts(int64_t tokens) const { return kernels_ == Kernels::kRepack || (kernels_ == Kernels::kAuto && tokens >= kWideColumns); }
  bool CachePackedExperts() const { return kernels_ == Kernels::kRepack; }

  // What a pass showed; the first pass that streamed anything decides about narrow batches, for good: from
  // then on the same input gives the same bits. Repacking hides when the disk takes longer for the
  // streamed bytes than the processor for converting and multiplying.
  struct Observation {
    int64_t columns = 0;
    uint64_t bytes_read = 0;          // by the disk during the pass
    uint64_t wall_ns = 0;
    uint64_t packed_bytes = 0;        // converted
    uint64_t pack_ns = 0;
    uint64_t streamed_bytes = 0;      // per pass from now on
    uint64_t weight_bytes = 0;        // all that a pass multiplies
  };
  void Observe(const Observation& pass);

  bool decided() const { return decided_; }
  bool pack_narrow() const { return kernels_ == Kernels::kRepack || (kernels_ == Kernels::kAuto && pack_narrow_); }

 private:
  Kernels kernels_;
  double disk_bytes_per_s_;           // 0: measured by the first pass
  bool decided_ = false;
  bool pack_narrow_ = true;
};

}  // namespace headrace
