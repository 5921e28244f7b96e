#include "io/stripes.h"

namespace headrace {

uint64_t Stripes::RunEnd(uint64_t offset) const {
  if (whole()) return UINT64_MAX;
  const bool held = Holds(offset);
  uint64_t end = offset / kBytes * kBytes + kBytes;
  while (end < file_bytes_ && Holds(end) == held) end += kBytes;
  return end < file_bytes_ ? end : UINT64_MAX;
}

uint64_t Stripes::Position(uint64_t offset) const {
  return whole() ? offset : Before(offset / kBytes) * kBytes + offset % kBytes;
}

uint64_t Stripes::HeldBefore(uint64_t offset) const {
  const uint64_t stripe = offset / kBytes;
  return Before(stripe) * kBytes + (offset % kBytes != 0 && Holds(offset) ? offset % kBytes : 0);
}

}  // namespace headrace
