#include "memory/headroom.h"

#include <sys/mman.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/size.h"
#include "base/text_file_test.h"
#include "memory/region.h"

namespace headrace {
namespace {

constexpr char kMounts[] = "35 31 0:32 / /cg rw - cgroup cgroup rw,memory\n";
constexpr char kRoomyMachine[] = "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n";

TEST(Headroom, AGroupKeeps32MiBFree) {
  Headroom headroom(TextFiles({
      {"/proc/meminfo", kRoomyMachine},
      {"/proc/self/cgroup", "4:memory:/a\n"},
      {"/proc/self/mountinfo", kMounts},
      {"/cg/a/memory.limit_in_bytes", std::to_string(600 * kMiB)},
      {"/cg/a/memory.usage_in_bytes", std::to_string(560 * kMiB)},
  }));
  EXPECT_TRUE(headroom.Has(8 * kMiB));
  EXPECT_FALSE(headroom.TakeRefused());
  EXPECT_FALSE(headroom.Has(9 * kMiB));
  EXPECT_TRUE(headroom.TakeRefused());
  EXPECT_FALSE(headroom.TakeRefused()) << "said once";
}

TEST(Headroom, ALimitOfAGroupAboveCounts) {
  Headroom headroom(TextFiles({
      {"/proc/meminfo", kRoomyMachine},
      {"/proc/self/cgroup", "0::/a/b\n"},
      {"/proc/self/mountinfo", "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n"},
      {"/cg/a/b/memory.max", "max\n"},
      {"/cg/a/memory.max", std::to_string(100 * kMiB)},
      {"/cg/a/memory.current", std::to_string(70 * kMiB)},
  }));
  EXPECT_FALSE(headroom.Has(1));
}

TEST(Headroom, PageCacheIsRoom) {
  Headroom headroom(TextFiles({
      {"/proc/meminfo", kRoomyMachine},
      {"/proc/self/cgroup", "4:memory:/a\n"},
      {"/proc/self/mountinfo", kMounts},
      {"/cg/a/memory.limit_in_bytes", std::to_string(600 * kMiB)},
      {"/cg/a/memory.usage_in_bytes", std::to_string(600 * kMiB)},
      {"/cg/a/memory.stat", "total_inactive_file " + std::to_string(100 * kMiB) + "\n"},
  }));
  EXPECT_TRUE(headroom.Has(68 * kMiB));
}

TEST(Headroom, AMachineWithoutGroups) {
  Headroom headroom(TextFiles({{"/proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 102400 kB\n"}}));
  EXPECT_TRUE(headroom.Has(40 * kMiB));
  EXPECT_FALSE(headroom.Has(40 * kMiB)) << "what was touched since the machine was looked at counts";
}

TEST(Headroom, AMachineThatTellsNothingHasRoom) { EXPECT_TRUE(Headroom(TextFiles({})).Has(kGiB)); }

TEST(Headroom, ALimitThatFallsIsSeenAtTheNextPiece) {
  uint64_t limit = 600 * kMiB;
  Headroom headroom([&limit](const std::string& path) -> std::optional<std::string> {
    if (path.ends_with("limit_in_bytes")) return std::to_string(limit);
    return TextFiles({{"/proc/self/cgroup", "4:memory:/a\n"},
                      {"/proc/self/mountinfo", kMounts},
                      {"/cg/a/memory.usage_in_bytes", "1000000"}})(path);
  });
  EXPECT_TRUE(headroom.Has(Headroom::kPieceBytes));
  limit = 33 * kMiB;
  EXPECT_FALSE(headroom.Has(Headroom::kPieceBytes));
}

// Answers "no" from some piece on.
class FewPieces : public Headroom {
 public:
  explicit FewPieces(int pieces) : Headroom(TextFiles({})), pieces_(pieces) {}
  bool Has(uint64_t bytes) override {
    EXPECT_LE(bytes, kPieceBytes);
    return pieces_-- > 0;
  }

 private:
  int pieces_;
};

uint64_t PagesInMemory(const Region& region) {
  std::vector<unsigned char> pages(region.bytes() / PageBytes());
  EXPECT_EQ(::mincore(region.data(), region.bytes(), pages.data()), 0);
  uint64_t count = 0;
  for (const unsigned char page : pages) count += page & 1;
  return count;
}

TEST(Headroom, TouchesPieceByPieceAndKeepsWhatIsThere) {
  constexpr uint64_t kBytes = 8 * Headroom::kPieceBytes;
  auto region = Region::Reserve(kBytes);
  ASSERT_TRUE(region.ok() && region->Commit(0, kBytes).ok());
  ::madvise(region->data(), kBytes, MADV_NOHUGEPAGE);
  region->data()[100] = std::byte{42};
  FewPieces three(3);
  EXPECT_FALSE(three.Touch(region->data() + 100, kBytes - 100));
  EXPECT_EQ(PagesInMemory(*region), 3 * Headroom::kPieceBytes / PageBytes());
  FewPieces all(8);
  EXPECT_TRUE(all.Touch(region->data() + 100, kBytes - 100));
  EXPECT_EQ(PagesInMemory(*region), kBytes / PageBytes());
  EXPECT_EQ(region->data()[100], std::byte{42});
}

}  // namespace
}  // namespace headrace
