// Sizes of a worker's process.
#pragma once

#include <cstdint>

#include "base/size.h"

namespace headrace {

// A message from a client and what kernels work in. headrace's own uploads have a half of it; a client without headrace
// sends whole tensors, which need as much of what is free.
inline constexpr uint64_t kMessageBytes = 48 * kMiB;
// What else a client's process allocates, in blocks that are not large.
inline constexpr uint64_t kSmallBytes = 16 * kMiB;
// A thread's stack is mapped as a whole, and counts.
inline constexpr uint64_t kStackBytes = 2 * kMiB;

}  // namespace headrace
