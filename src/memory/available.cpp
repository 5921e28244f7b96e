#include "memory/available.h"

#include <fstream>
#include <string>

#include "base/size.h"

namespace headrace {

uint64_t AvailableMemoryBytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  uint64_t kib = 0;
  while (meminfo >> key >> kib) {
    if (key == "MemAvailable:") return kib * kKiB;
    std::getline(meminfo, unit);
  }
  return 0;
}

}  // namespace headrace
