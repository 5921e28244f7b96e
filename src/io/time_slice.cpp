#include "io/time_slice.h"

// The C library has no wrapper before glibc 2.41, and defines the same struct in <sched.h> after: do not include that
// here.
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace headrace {

void ShortenTimeSlice() {
  constexpr uint32_t kOther = 0;  // SCHED_OTHER
  constexpr uint64_t kSliceNanoseconds = 100'000;
  sched_attr attributes{};
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0u) != 0 || attributes.sched_policy != kOther)
    return;
  attributes.sched_runtime = kSliceNanoseconds;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0u);  // refused: only slower
}

}  // namespace headrace
