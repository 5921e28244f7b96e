// The product of a wide batch with a weight that streams: all of the host's threads multiply what is in memory, then
// each segment as it arrives.
#pragma once

#include <cstdint>

#include "exec/kernel_choice.h"
#include "exec/product.h"
#include "exec/running_pass.h"
#include "exec/thread_shares.h"

namespace headrace {

// One thread at a time.
class DenseMultiplier {
 public:
  // All outlive it.
  DenseMultiplier(const GgmlApi& api, RunningPass& pass, const KernelChoice& choice, ApartTypes& apart,
                  Workers& workers)
      : pass_(pass), choice_(choice), product_(api, apart), shares_(api, workers) {}

  // A takeover's turn has begun: computes it. Errors: the read's; CheckProduct's.
  Status Multiply(Takeover& takeover);
  // Whether resident rows are packed for this product on their way, since they are in memory as in the file.
  bool PacksResident(const Takeover& takeover) const;

  Product& product() { return product_; }
  uint64_t move_ns() const { return product_.move_ns(); }

 private:
  // Rows of one weight that lie together in memory in one layout, to be multiplied at once.
  struct Run {
    uint64_t first_row = 0;
    uint64_t rows = 0;
    uint8_t* data = nullptr;
    const PackedLayout* packed = nullptr;
  };
  Status MultiplyResident(const Takeover& takeover);
  Status MultiplySegment(Takeover& takeover, size_t index, Run& run);
  Status Flush(const Takeover& takeover, Run& run, const Move* move);
  Status MoveRows(const Takeover& takeover, uint64_t rows, const PackedLayout* packed, const Move& move);

  RunningPass& pass_;
  const KernelChoice& choice_;
  Product product_;
  ThreadShares shares_;
};

}  // namespace headrace
