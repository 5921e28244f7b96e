#include "io/drive_load.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace headrace {
namespace {

constexpr uint64_t kRead = 512 * 1024;

// Two drives that read at given speeds, one read after the other, kept busy with as many reads as a ReadService would.
class TwoDrives {
 public:
  TwoDrives(double ns_per_byte_a, double ns_per_byte_b) : cost_{ns_per_byte_a, ns_per_byte_b} {}

  void SetCost(size_t drive, double ns_per_byte) { cost_[drive] = ns_per_byte; }
  void Read(unsigned reads) {
    for (unsigned i = 0; i < reads; ++i) {
      if (queues_[0].size() + queues_[1].size() >= 16) EndOne();
      const size_t drive = Choose();
      load_[drive].Begin(kRead, now_);
      if (queues_[drive].empty()) free_at_[drive] = now_;
      free_at_[drive] += static_cast<uint64_t>(cost_[drive] * kRead);
      queues_[drive].push_back({now_, free_at_[drive]});
      bytes_[drive] += kRead;
    }
  }
  uint64_t bytes(size_t drive) const { return bytes_[drive]; }
  void Forget() { bytes_ = {}; }
  uint64_t now() const { return now_; }

 private:
  struct Flight {
    uint64_t begun, ends;
  };
  size_t Choose() {
    const auto expected = [&](size_t d) {
      const double known = load_[1 - d].cost() > 0 ? load_[1 - d].cost() : 1;
      return load_[d].WantsTrial(now_) ? 0 : load_[d].ExpectedNs(kRead, now_, known);
    };
    return expected(1) < expected(0) ? 1 : 0;
  }
  void EndOne() {
    const size_t d =
        queues_[1].empty() || (!queues_[0].empty() && queues_[0].front().ends < queues_[1].front().ends) ? 0 : 1;
    now_ = queues_[d].front().ends;
    load_[d].End(kRead, queues_[d].front().begun, now_);
    queues_[d].erase(queues_[d].begin());
  }

  std::array<double, 2> cost_;
  std::array<DriveLoad, 2> load_;
  std::array<std::vector<Flight>, 2> queues_;
  std::array<uint64_t, 2> free_at_{}, bytes_{};
  uint64_t now_ = 1;
};

TEST(DriveLoad, SharesFollowSpeed) {
  for (const double ratio : {1.0, 3.0, 8.0}) {
    TwoDrives drives(1, ratio);
    drives.Read(100);
    drives.Forget();
    const uint64_t begin = drives.now();
    drives.Read(2000);
    EXPECT_NEAR(static_cast<double>(drives.bytes(0)) / static_cast<double>(drives.bytes(1)), ratio, ratio * 0.15);
    // Both together, less the last reads.
    const double sum = 1 + 1 / ratio;
    EXPECT_GT(2000.0 * kRead / static_cast<double>(drives.now() - begin), 0.95 * sum);
  }
}

TEST(DriveLoad, ADriveThatBecomesSlowGetsLessAndMoreAgainLater) {
  TwoDrives drives(1, 1);
  drives.Read(200);
  drives.SetCost(1, 20);
  drives.Read(2000);
  drives.Forget();
  drives.Read(4000);
  EXPECT_LT(drives.bytes(1), drives.bytes(0) / 50);
  EXPECT_GT(drives.bytes(1), 0u) << "it must be tried now and then";
  drives.SetCost(1, 1);
  drives.Read(60'000);
  drives.Forget();
  drives.Read(2000);
  EXPECT_NEAR(static_cast<double>(drives.bytes(1)), static_cast<double>(drives.bytes(0)), 0.2 * 2000 * kRead);
}

TEST(DriveLoad, AStallCountsAsLongAsItLasts) {
  DriveLoad load;
  load.Begin(kRead, 0);
  load.End(kRead, 0, 1000);
  load.Begin(kRead, 2000);
  EXPECT_LT(load.ExpectedNs(kRead, 2001, 1), 10'000);
  EXPECT_GE(load.ExpectedNs(kRead, 5'002'000, 1), 5'000'000);
}

TEST(DriveLoad, FailuresOfOneMomentAreOneAndThreeInARowAreTheEnd) {
  DriveLoad load;
  uint64_t now = 1;
  for (int i = 0; i < 8; ++i) load.Begin(kRead, now);
  for (int i = 0; i < 8; ++i) load.Fail(kRead, now);
  EXPECT_TRUE(load.Rests(now));
  EXPECT_FALSE(load.gone());
  for (unsigned i = 1; i < DriveLoad::kFailuresForEver; ++i) {
    now += 100 * DriveLoad::kRestNs;
    EXPECT_FALSE(load.Rests(now));
    load.Begin(kRead, now);
    load.Fail(kRead, now);
  }
  EXPECT_TRUE(load.gone());
  // The last resort may work after all.
  load.Begin(kRead, now);
  load.End(kRead, now, now + 10);
  EXPECT_FALSE(load.Rests(now + 10));
}

TEST(DriveLoad, IsSilentSinceItsLastSignOnly) {
  DriveLoad load;
  EXPECT_EQ(load.SilentNs(1000), 0u) << "nothing is in flight";
  load.Begin(kRead, 1000);
  load.Begin(kRead, 1400);
  EXPECT_EQ(load.SilentNs(1500), 500u);
  load.End(kRead, 1000, 1600);
  EXPECT_EQ(load.SilentNs(1700), 100u);
  load.End(kRead, 1400, 1800);
  EXPECT_EQ(load.SilentNs(5000), 0u);
}

}  // namespace
}  // namespace headrace
