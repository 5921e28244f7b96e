// Which bytes of a file a partial copy holds: stripes of equal size, spread evenly, one after the other in the copy.
#pragma once

#include <cstdint>

#include "base/size.h"

namespace headrace {

// A value.
class Stripes {
 public:
  // Small beside what is read ahead, so that the drives share the stream at every place of the file.
  static constexpr uint64_t kBytes = 2 * kMiB;
  static constexpr uint64_t kWhole = 65536;

  // All of a file.
  Stripes() = default;
  // `share` of the stripes of a file with `file_bytes`, in parts of kWhole.
  Stripes(uint64_t file_bytes, uint64_t share) : file_bytes_(file_bytes), share_(share) {}

  bool Holds(uint64_t offset) const { return Before(offset / kBytes + 1) > Before(offset / kBytes); }
  // The end of the run of bytes from `offset` on that are all held, or all not, as the one there; UINT64_MAX for the
  // last run.
  uint64_t RunEnd(uint64_t offset) const;
  // Where a byte that is held lies among those that are.
  uint64_t Position(uint64_t offset) const;
  // Of all that is held.
  uint64_t bytes() const { return HeldBefore(file_bytes_); }
  bool whole() const { return share_ == kWhole; }
  uint64_t share() const { return share_; }

 private:
  // Stripes held of the first `count`: the sum of shares, whole ones counted (error diffusion).
  uint64_t Before(uint64_t count) const { return count * share_ / kWhole; }
  uint64_t HeldBefore(uint64_t offset) const;

  uint64_t file_bytes_ = UINT64_MAX;
  uint64_t share_ = kWhole;
};

}  // namespace headrace
