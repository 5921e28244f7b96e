#include "io/drive_load.h"

#include <algorithm>

namespace headrace {

void DriveLoad::Begin(uint64_t bytes, uint64_t now_ns) {
  if (in_flight_bytes_ == 0) last_event_ns_ = now_ns;
  in_flight_bytes_ += bytes;
}

void DriveLoad::Leave(uint64_t bytes, uint64_t now_ns) {
  in_flight_bytes_ -= std::min(in_flight_bytes_, bytes);
  last_event_ns_ = now_ns;
}

// The cost of a byte is averaged, not the speed: of two reads that end at once the second took no time.
void DriveLoad::End(uint64_t bytes, uint64_t begun_ns, uint64_t now_ns) {
  const double cost = static_cast<double>(now_ns - last_event_ns_) / static_cast<double>(bytes);
  averaged_bytes_ = std::min(averaged_bytes_ + static_cast<double>(bytes), kAverageBytes);
  cost_ += (cost - cost_) * std::min(1.0, static_cast<double>(bytes) / averaged_bytes_);
  last_duration_ns_ = now_ns - begun_ns;
  failures_ = 0;
  rests_until_ns_ = 0;
  Leave(bytes, now_ns);
}

void DriveLoad::Fail(uint64_t bytes, uint64_t now_ns) {
  // Reads that were in flight together fail together: that is one failure.
  if (!Rests(now_ns)) {
    ++failures_;
    rests_until_ns_ = failures_ >= kFailuresForEver ? UINT64_MAX : now_ns + (kRestNs << (failures_ - 1));
  }
  Leave(bytes, now_ns);
}

double DriveLoad::ExpectedNs(uint64_t bytes, uint64_t now_ns, double otherwise) const {
  const double by_speed = static_cast<double>(in_flight_bytes_ + bytes) * (cost_ > 0 ? cost_ : otherwise);
  return in_flight_bytes_ == 0 ? by_speed : std::max(by_speed, static_cast<double>(now_ns - last_event_ns_));
}

bool DriveLoad::WantsTrial(uint64_t now_ns) const {
  return cost_ > 0 && in_flight_bytes_ == 0 && now_ns - last_event_ns_ > kTrialPause * last_duration_ns_;
}

}  // namespace headrace
