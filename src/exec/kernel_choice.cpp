#include "exec/kernel_choice.h"

namespace headrace {
namespace {

// What one-token kernels multiply per second relative to what the cores convert per second, both reading
// the weights once: measured 4 to 5 with two cores, taken low so that a doubt goes against repacking.
constexpr double kMultiplyPerPack = 3;

// The processor's share of the disk's time up to which repacking hides. At 0.58 (two cores, 2.4 GB/s) it
// still cost 6 to 10 % of decode: the cores also serve the disk, and each piece waits for both threads.
constexpr double kHides = 0.4;

}  // namespace

void KernelChoice::Observe(const Observation& pass) {
  if (kernels_ != Kernels::kAuto || decided_ || pass.packed_bytes == 0 || pass.pack_ns == 0) return;
  const double pack_bytes_per_s = 1e9 * static_cast<double>(pass.packed_bytes) / static_cast<double>(pass.pack_ns);
  double disk = disk_bytes_per_s_;
  if (disk == 0 && pass.wall_ns > 0) disk = 1e9 * static_cast<double>(pass.bytes_read) / static_cast<double>(pass.wall_ns);
  if (disk == 0) return;
  const double disk_s = static_cast<double>(pass.streamed_bytes) / disk;
  const double processor_s = static_cast<double>(pass.streamed_bytes) / pack_bytes_per_s +
                             static_cast<double>(pass.weight_bytes) / (kMultiplyPerPack * pack_bytes_per_s);
  pack_narrow_ = processor_s <= kHides * disk_s;
  decided_ = true;
}

}  // namespace headrace
