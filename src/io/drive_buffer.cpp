#include "io/drive_buffer.h"

#include <utility>

namespace headrace {

Result<DriveBuffer> DriveBuffer::Make(uint64_t bytes) {
  auto memory = Region::Reserve(bytes);
  if (!memory.ok()) return memory.status();
  HEADRACE_RETURN_IF_ERROR(memory->Commit(0, bytes));
  DriveBuffer buffer;
  buffer.memory_ = std::move(*memory);
  return buffer;
}

std::byte* DriveBuffer::Take(uint32_t bytes) {
  uint64_t place = 0;
  for (const auto& [begin, end] : used_) {
    if (begin - place >= bytes) break;
    place = end;
  }
  if (place + bytes > memory_.bytes()) return nullptr;
  used_.emplace(place, place + bytes);
  return memory_.data() + place;
}

void DriveBuffer::Give(const std::byte* place) { used_.erase(static_cast<uint64_t>(place - memory_.data())); }

}  // namespace headrace
