// Memory that a new program may use without swapping.
#pragma once

#include <cstdint>

namespace headrace {

// MemAvailable of /proc/meminfo, 0 when it cannot be read.
uint64_t AvailableMemoryBytes();

}  // namespace headrace
