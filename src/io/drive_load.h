// What one drive has to do and how fast it does it: pure, with the time as an argument.
#pragma once

#include <cstdint>
#include <string>

namespace headrace {

// One thread.
class DriveLoad {
 public:
  // A drive whose reads fail is left alone for so long, then for twice as long, and so on; after so many failures in a
  // row for ever.
  static constexpr uint64_t kRestNs = 5'000'000'000;
  static constexpr unsigned kFailuresForEver = 3;

  void Begin(uint64_t bytes, uint64_t now_ns);
  // A read that has begun is through; it took since `begun_ns`.
  void End(uint64_t bytes, uint64_t begun_ns, uint64_t now_ns);
  void Fail(uint64_t bytes, uint64_t now_ns);

  // When a read that begins now would probably be through, in ns from now. `otherwise` is the cost of a drive that has
  // read nothing yet. A drive that stalls is expected to do so for as long again.
  double ExpectedNs(uint64_t bytes, uint64_t now_ns, double otherwise) const;
  // How long it has not answered: since a read ended, or began on the idle drive. 0: nothing is in flight.
  uint64_t SilentNs(uint64_t now_ns) const { return in_flight_bytes_ == 0 ? 0 : now_ns - last_event_ns_; }
  // ns for each byte while it reads; 0: unknown.
  double cost() const { return cost_; }
  // It has read nothing for so long that its speed may be another now: the trial costs little beside.
  bool WantsTrial(uint64_t now_ns) const;
  bool Rests(uint64_t now_ns) const { return now_ns < rests_until_ns_; }
  bool gone() const { return rests_until_ns_ == UINT64_MAX; }

 private:
  // The speed is an average over the last bytes of this number, each counted with the time that the drive was busy.
  static constexpr double kAverageBytes = 8 << 20;
  // A trial after this many times the duration of the last read: at most a fiftieth of the time.
  static constexpr uint64_t kTrialPause = 50;

  void Leave(uint64_t bytes, uint64_t now_ns);

  uint64_t in_flight_bytes_ = 0;
  uint64_t last_event_ns_ = 0;  // a read ended, or began on an idle drive
  uint64_t last_duration_ns_ = 0;
  double cost_ = 0;
  double averaged_bytes_ = 0;
  unsigned failures_ = 0;  // in a row
  uint64_t rests_until_ns_ = 0;
};

}  // namespace headrace
