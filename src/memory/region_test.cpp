#include "memory/region.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

namespace headrace {
namespace {

constexpr uint64_t kHuge = kHugePageBytes;

// The sum of one smaps field, in bytes, over the mappings inside of the region.
uint64_t Smaps(const Region& region, const char* field) {
  const auto begin = reinterpret_cast<uintptr_t>(region.data());
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  uint64_t sum = 0;
  bool inside = false;
  while (std::getline(smaps, line)) {
    uint64_t low = 0, high = 0, kib = 0;
    char name[64] = "";
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " ", &low, &high) == 2) {
      inside = low >= begin && high <= begin + region.bytes();
    } else if (inside && std::sscanf(line.c_str(), "%63[^:]: %" SCNu64 " kB", name, &kib) == 2 &&
               std::strcmp(name, field) == 0) {
      sum += kib * kKiB;
    }
  }
  return sum;
}

uint64_t Rss(const Region& region) { return Smaps(region, "Rss"); }

// The bytes of the region whose mapping has the huge page advice ("hg").
uint64_t AdvisedBytes(const Region& region) {
  const auto begin = reinterpret_cast<uintptr_t>(region.data());
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  uint64_t low = 0, high = 0, inside = 0, sum = 0;
  while (std::getline(smaps, line)) {
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " ", &low, &high) == 2) {
      inside = low >= begin && high <= begin + region.bytes() ? high - low : 0;
    } else if (line.rfind("VmFlags:", 0) == 0 && line.find(" hg") != std::string::npos) {
      sum += inside;
    }
  }
  return sum;
}

bool HugePagesOffered() {
  std::ifstream enabled("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  std::getline(enabled, line);
  return !line.empty() && line.find("[never]") == std::string::npos;
}

Region MustReserve(uint64_t bytes) {
  auto region = Region::Reserve(bytes);
  EXPECT_TRUE(region.ok()) << region.status().message();
  return std::move(region).value();
}

TEST(Region, ReservingUsesNoMemoryAndIsAligned) {
  const Region region = MustReserve(64 * kGiB + 1);
  EXPECT_EQ(region.bytes(), 64 * kGiB + PageBytes());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(region.data()) % kHuge, 0u);
  EXPECT_EQ(Rss(region), 0u);
  EXPECT_EQ(region.committed_bytes(), 0u);
}

TEST(Region, ContentsSurviveCommitsAroundThem) {
  Region region = MustReserve(16 * kMiB);
  ASSERT_TRUE(region.Commit(5 * PageBytes() + 7, 3 * PageBytes()).ok());  // touches pages 5 to 8
  EXPECT_EQ(region.committed_bytes(), 4 * PageBytes());
  EXPECT_EQ(region.data()[5 * PageBytes()], std::byte{0});
  std::memset(region.data() + 5 * PageBytes(), 0x5a, 4 * PageBytes());
  ASSERT_TRUE(region.Commit(0, 16 * kMiB).ok());
  ASSERT_TRUE(region.Commit(0, 16 * kMiB).ok());
  EXPECT_EQ(region.committed_bytes(), 16 * kMiB);
  Region moved = std::move(region);
  region = std::move(moved);
  for (uint64_t i = 0; i < 4 * PageBytes(); ++i) {
    ASSERT_EQ(region.data()[5 * PageBytes() + i], std::byte{0x5a});
  }
  EXPECT_EQ(region.data()[9 * PageBytes()], std::byte{0});
}

TEST(Region, MemoryInUseNeverExceedsWhatIsCommitted) {
  Region region = MustReserve(64 * kMiB);
  // Ranges that begin and end inside of huge pages, with gaps, each touched in one byte only.
  for (uint64_t offset = 300 * kKiB; offset + 5 * kMiB < region.bytes(); offset += 7 * kMiB) {
    ASSERT_TRUE(region.Commit(offset, 4 * kMiB + 12345).ok());
    for (uint64_t at = offset; at < offset + 4 * kMiB; at += 256 * kKiB) region.data()[at] = std::byte{1};
    EXPECT_LE(Rss(region), region.committed_bytes());
  }
  Region small = MustReserve(8 * kMiB);
  ASSERT_TRUE(small.Commit(kHuge, PageBytes()).ok());
  small.data()[kHuge] = std::byte{1};
  EXPECT_EQ(Rss(small), PageBytes());
}

TEST(Region, HugePagesAreAskedForWhereWholeOnesAreCommitted) {
  if (!HugePagesOffered()) GTEST_SKIP() << "the kernel offers no transparent huge pages";
  Region region = MustReserve(16 * kMiB);
  ASSERT_TRUE(region.Commit(kMiB, 4 * kMiB).ok());  // 1 to 5: one whole, 2 to 4
  EXPECT_EQ(AdvisedBytes(region), kHuge);
  ASSERT_TRUE(region.Commit(5 * kMiB, 2 * kMiB).ok());  // completes 4 to 6
  EXPECT_EQ(AdvisedBytes(region), 2 * kHuge);
  ASSERT_TRUE(region.Commit(0, kMiB).ok());  // completes 0 to 2
  EXPECT_EQ(AdvisedBytes(region), 3 * kHuge);
  ASSERT_TRUE(region.Commit(7 * kMiB, 9 * kMiB).ok());
  EXPECT_EQ(AdvisedBytes(region), region.bytes());
  std::memset(region.data(), 1, region.bytes());
  EXPECT_EQ(Rss(region), region.bytes());
  EXPECT_GT(Smaps(region, "AnonHugePages"), 0u);
}

TEST(Region, DecommitGivesWholePagesInsideBack) {
  Region region = MustReserve(8 * kMiB);
  ASSERT_TRUE(region.Commit(0, 8 * kMiB).ok());
  std::memset(region.data(), 0x77, 8 * kMiB);
  EXPECT_EQ(Rss(region), 8 * kMiB);
  region.Decommit(2 * kMiB, 4 * kMiB);
  EXPECT_EQ(Rss(region), 4 * kMiB);
  EXPECT_EQ(region.committed_bytes(), 4 * kMiB);
  region.Decommit(PageBytes() - 1, 2 * PageBytes());  // holds one whole page, page 1
  EXPECT_EQ(region.committed_bytes(), 4 * kMiB - PageBytes());
  EXPECT_EQ(Rss(region), 4 * kMiB - PageBytes());
  EXPECT_EQ(region.data()[0], std::byte{0x77});
  EXPECT_EQ(region.data()[2 * PageBytes()], std::byte{0x77});
  region.Decommit(PageBytes() + 1, PageBytes());  // holds none
  region.Decommit(PageBytes(), PageBytes());      // not committed any more
  EXPECT_EQ(region.committed_bytes(), 4 * kMiB - PageBytes());
  ASSERT_TRUE(region.Commit(PageBytes(), PageBytes()).ok());
  EXPECT_EQ(region.data()[PageBytes()], std::byte{0});
  EXPECT_EQ(region.committed_bytes(), 4 * kMiB);
}

TEST(Region, RefusesHostileRanges) {
  Region region = MustReserve(kMiB);
  for (const auto& [offset, bytes] : std::initializer_list<std::pair<uint64_t, uint64_t>>{{kMiB, 1},
                                                                                          {kMiB + 1, 0},
                                                                                          {0, kMiB + 1},
                                                                                          {1, kMiB},
                                                                                          {UINT64_MAX, 1},
                                                                                          {1, UINT64_MAX},
                                                                                          {UINT64_MAX, UINT64_MAX}}) {
    EXPECT_EQ(region.Commit(offset, bytes).code(), Code::kInvalidArgument) << offset << " " << bytes;
  }
  EXPECT_TRUE(region.Commit(kMiB, 0).ok());
  EXPECT_EQ(region.committed_bytes(), 0u);
  ASSERT_TRUE(region.Commit(0, kMiB).ok());
  region.Decommit(kMiB, 1);
  region.Decommit(UINT64_MAX, UINT64_MAX);
  EXPECT_EQ(region.committed_bytes(), kMiB);
  region.Decommit(PageBytes(), UINT64_MAX);
  EXPECT_EQ(region.committed_bytes(), PageBytes());
  Region none;
  EXPECT_FALSE(none.Commit(0, 1).ok());
  none.Decommit(0, 1);
}

TEST(Region, ReportsWhatCannotBeReserved) {
  EXPECT_EQ(Region::Reserve(0).status().code(), Code::kInvalidArgument);
  for (const uint64_t bytes : {uint64_t{1} << 60, uint64_t{1} << 62, UINT64_MAX, UINT64_MAX - PageBytes()}) {
    const auto region = Region::Reserve(bytes);
    ASSERT_FALSE(region.ok());
    EXPECT_EQ(region.status().code(), Code::kOutOfBudget);
    EXPECT_NE(region.status().message().find("Cannot allocate memory"), std::string::npos) << region.status().message();
  }
}

struct Locking {
  Locking() { Region::LockFromNowOn(true); }
  ~Locking() { Region::LockFromNowOn(false); }
};

TEST(Region, LocksWhatIsTouched) {
  const Locking locking;
  Region region = MustReserve(8 * kMiB);
  if (!region.Commit(0, 4 * kMiB).ok()) GTEST_SKIP() << "memory cannot be locked here (ulimit -l)";
  EXPECT_EQ(Smaps(region, "Locked"), 0u);
  std::memset(region.data(), 1, 4 * kMiB);
  EXPECT_EQ(Smaps(region, "Locked"), 4 * kMiB);
  region.Decommit(2 * kMiB, 2 * kMiB);
  EXPECT_EQ(Smaps(region, "Locked"), 2 * kMiB);
  EXPECT_EQ(Rss(region), 2 * kMiB);
}

// In a child, so that the expected signals end only that.
int ExitOfChild(void (*body)(Region&), Region& region) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int signal : {SIGSEGV, SIGBUS}) ::signal(signal, SIG_DFL);
    body(region);
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

TEST(Region, UncommittedPagesFault) {
  Region unused;
  EXPECT_EQ(ExitOfChild(
                [](Region&) {
                  Region region = MustReserve(kMiB);
                  if (!region.Commit(0, PageBytes()).ok()) ::_exit(1);
                  const_cast<volatile std::byte*>(region.data())[0] = std::byte{1};
                },
                unused),
            0);
  EXPECT_EQ(ExitOfChild(
                [](Region&) {
                  Region region = MustReserve(kMiB);
                  if (!region.Commit(0, 2 * PageBytes()).ok()) ::_exit(1);
                  region.Decommit(PageBytes(), PageBytes());
                  const_cast<volatile std::byte*>(region.data())[PageBytes()] = std::byte{1};
                },
                unused),
            SIGSEGV);
}

TEST(Region, SaysWhatMayBeLocked) {
  Region unused;
  const int exit = ExitOfChild(
      [](Region&) {
        const rlimit limit{64 * kKiB, 64 * kKiB};
        if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0))
          ::_exit(1);
        Region::LockFromNowOn(true);
        Region region = MustReserve(kMiB);
        if (!region.Commit(0, 32 * kKiB).ok()) ::_exit(2);
        const Status refused = region.Commit(16 * kKiB, 512 * kKiB);
        if (refused.code() != Code::kOutOfBudget ||
            refused.message().find("64.0 KiB may be locked (ulimit -l)") == std::string::npos)
          ::_exit(3);
        if (region.committed_bytes() != 32 * kKiB) ::_exit(4);
        if (!Region::MayLock(16 * kKiB).ok() || Region::MayLock(kMiB).code() != Code::kOutOfBudget) ::_exit(5);
        region.data()[31 * kKiB] = std::byte{1};
      },
      unused);
  EXPECT_EQ(exit, 0);
}

TEST(Region, AForkedChildDoesNotUnmapWhatIsNotItsOwn) {
  Region region = MustReserve(kMiB);
  ASSERT_TRUE(region.Commit(0, kMiB).ok());
  const int exit = ExitOfChild(
      [](Region& inherited) {
        std::byte* const address = inherited.data();
        void* const mapped = ::mmap(address, PageBytes(), PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (mapped != address) ::_exit(1);  // the parent's mapping was inherited
        inherited = Region();
        *const_cast<volatile std::byte*>(address) = std::byte{1};
      },
      region);
  EXPECT_EQ(exit, 0);
}

}  // namespace
}  // namespace headrace
