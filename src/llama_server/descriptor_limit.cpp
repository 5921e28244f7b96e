#include "llama_server/descriptor_limit.h"

#include <sys/resource.h>

#include <algorithm>

namespace headrace::serve {
namespace {

rlimit original{};
bool raised = false;

}  // namespace

uint64_t RaiseDescriptorLimit(uint64_t wanted) {
  rlimit now{};
  if (getrlimit(RLIMIT_NOFILE, &now) != 0) return 0;
  if (now.rlim_cur >= wanted) return now.rlim_cur;
  const rlimit higher{std::min<rlim_t>(wanted, now.rlim_max), now.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &higher) != 0) return now.rlim_cur;
  original = now;
  raised = true;
  return higher.rlim_cur;
}

void RestoreDescriptorLimit() {
  if (raised) setrlimit(RLIMIT_NOFILE, &original);
}

}  // namespace headrace::serve
