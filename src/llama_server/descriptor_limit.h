// How many files and connections this process may have open.
#pragma once

#include <cstdint>

namespace headrace::serve {

// Raises the limit to `wanted`, or as far as is allowed; never lowers it. Returns what it is then. Once, at the start.
uint64_t RaiseDescriptorLimit(uint64_t wanted);

// The limit of before, for a program that we start: it may have counted on that. Async-signal-safe.
void RestoreDescriptorLimit();

}  // namespace headrace::serve
