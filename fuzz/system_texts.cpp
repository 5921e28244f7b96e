// What the kernel publishes about memory: /proc/meminfo, /proc/self/{cgroup,mountinfo,statm}, the groups' files,
// pressure. The parts of the input are these files in the order in which they are asked for.
#include "fuzz.h"
#include "memory/available.h"
#include "memory/cgroup.h"
#include "memory/pressure.h"
#include "memory/process_memory.h"

using namespace headrace;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parts = fuzz::Parts(fuzz::Text(data, size));
  const auto reader = [&] {
    return [&parts, next = size_t{0}](const std::string&) mutable -> std::optional<std::string> {
      if (next >= parts.size()) return std::nullopt;
      return parts[next++];
    };
  };
  (void)ParseMeminfo(parts[0]);
  (void)ParseStatm(parts[0]);
  (void)ParseFullStall(parts[0]);
  (void)ReadProcessMemory(reader());
  if (const auto limit = FindCgroupLimit(reader())) {
    fuzz::Require(limit->available_bytes() <= limit->limit_bytes, "more is available than the limit");
  }
  const AvailableMemory available = FindAvailableMemory(reader(), {});
  (void)AutomaticLimit(available, std::nullopt);
  (void)HardLimit(available, std::nullopt);
  (void)MarginBytes(available.bytes);
  return 0;
}
