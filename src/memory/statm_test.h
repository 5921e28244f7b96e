// /proc/self/statm, which counts pages, of a process that holds so much.
#pragma once

#include <string>

#include <fmt/format.h>

#include "base/size.h"

namespace headrace {

inline std::string Statm(uint64_t size_mib, uint64_t resident_mib, uint64_t shared_mib, uint64_t data_mib) {
  const uint64_t pages = kMiB / PageBytes();
  return fmt::format("{} {} {} 100 0 {} 0\n", size_mib * pages, resident_mib * pages, shared_mib * pages,
                     data_mib * pages);
}

}  // namespace headrace
