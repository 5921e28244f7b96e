#include "kv/kv_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/size.h"
#include "io/io_test_util.h"
#include "kv/loop_disk_test.h"
#include "kv/lose_half_test.h"

namespace headrace {
namespace {

constexpr uint64_t kBytes = 6 * kMiB;
constexpr PageRange kWhole{0, kBytes}, kMiddle{2 * kMiB, 3 * kMiB};

class KvFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Status usable = KvFile::CheckFolder(folder_);
    ASSERT_TRUE(usable.ok()) << usable.message();
  }
  KvFile Make(uint64_t bytes = kBytes) {
    auto file = KvFile::Create(folder_, bytes);
    EXPECT_TRUE(file.ok()) << file.status().message();
    return std::move(*file);
  }
  static bool AllAre(const KvFile& file, uint8_t value, const PageRange& range) {
    return std::all_of(file.data() + range.begin, file.data() + range.end,
                       [&](std::byte b) { return b == std::byte{value}; });
  }
  const TestDirectory directory_;
  const std::string folder_ = directory_ / "";
};

TEST_F(KvFileTest, IsMemoryOfZerosInWholePagesWithoutAName) {
  const KvFile file = Make(kBytes - 1);
  EXPECT_EQ(file.bytes(), kBytes);
  EXPECT_TRUE(AllAre(file, 0, kWhole));
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_TRUE(file.Holds(file.data()));
  EXPECT_TRUE(file.Holds(file.data() + kBytes - 1));
  EXPECT_FALSE(file.Holds(file.data() + kBytes));
  EXPECT_FALSE(file.Holds(file.data() - 1));
}

TEST_F(KvFileTest, WhatIsEvictedIsNoMemoryAndComesBack) {
  const KvFile file = Make();
  std::memset(file.data(), 7, kBytes);
  EXPECT_EQ(file.CachedBytes(), kBytes);
  ASSERT_TRUE(file.Evict(kWhole).ok());
  EXPECT_EQ(file.CachedBytes(), 0u);
  ASSERT_TRUE(file.Load(kMiddle).ok());
  EXPECT_EQ(file.CachedBytes(), kMiddle.bytes()) << "no more than was asked for";
  EXPECT_TRUE(AllAre(file, 7, kMiddle));
  std::memset(file.data() + kMiddle.begin, 8, PageBytes());
  ASSERT_TRUE(file.Evict(kMiddle).ok());
  EXPECT_TRUE(file.CheckWritten().ok());
  file.ReadAhead(kWhole);
  EXPECT_TRUE(AllAre(file, 8, {kMiddle.begin, kMiddle.begin + PageBytes()}));
  EXPECT_TRUE(AllAre(file, 7, {kMiddle.begin + PageBytes(), kBytes}));
}

TEST_F(KvFileTest, IsFilled) {
  KvFile file = Make();
  ASSERT_TRUE(file.Fill(0xa5).ok());
  EXPECT_TRUE(AllAre(file, 0xa5, kWhole));
  ASSERT_TRUE(file.Fill(0).ok());
  EXPECT_TRUE(AllAre(file, 0, kWhole));
}

TEST_F(KvFileTest, StaysWhereItIsWhenItMoves) {
  KvFile first = Make();
  first.data()[5] = std::byte{5};
  const KvFile second = std::move(first);
  EXPECT_EQ(first.data(), nullptr);
  EXPECT_EQ(second.data()[5], std::byte{5});
  EXPECT_TRUE(second.Evict(kWhole).ok());
  EXPECT_EQ(second.data()[5], std::byte{5});
}

TEST_F(KvFileTest, IsNotThereInAForkedChild) {
  const KvFile file = Make();
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    file.data()[0] = std::byte{1};
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  EXPECT_EQ(file.data()[0], std::byte{0});
}

// Instead of the SIGBUS that a touch would be.
TEST_F(KvFileTest, WhatCannotBeReadIsAnError) {
  const KvFile file = Make();
  ASSERT_TRUE(LoseHalf(file));
  EXPECT_TRUE(file.Load({0, kMiB}).ok());
  const Status lost = file.Load({kBytes - kMiB, kBytes});
  EXPECT_EQ(lost.code(), Code::kIo);
  EXPECT_NE(lost.message().find(folder_), std::string::npos) << lost.message();
}

TEST_F(KvFileTest, FoldersThatCannotBeUsed) {
  const std::string file = folder_ + "file";
  std::ofstream(file) << "x";
  EXPECT_EQ(KvFile::CheckFolder(folder_ + "absent").code(), Code::kNotFound);
  EXPECT_EQ(KvFile::CheckFolder(file).code(), Code::kInvalidArgument);
  EXPECT_EQ(KvFile::CheckFolder("/dev/shm").code(), Code::kUnsupported);
  EXPECT_FALSE(KvFile::Create("/proc", kBytes).ok());
}

TEST_F(KvFileTest, LimitOfTheProcessIsAnErrorAndNoSignal) {
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{kBytes - PageBytes(), before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const auto file = KvFile::Create(folder_, kBytes);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(file.status().code(), Code::kOutOfBudget);
  EXPECT_NE(file.status().message().find("ulimit -f"), std::string::npos) << file.status().message();
}

TEST_F(KvFileTest, OnADiskThatIsFull) {
  const LoopDisk disk(folder_, 16 * kMiB);
  if (!disk.problem().empty()) GTEST_SKIP() << disk.problem();
  const uint64_t free = disk.FreeBytes();
  {
    auto file = KvFile::Create(disk.path(), kBytes);
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_LE(disk.FreeBytes(), free - kBytes) << "its blocks are reserved";
    const auto second = KvFile::Create(disk.path(), 2 * kBytes);
    EXPECT_EQ(second.status().code(), Code::kOutOfBudget);
    EXPECT_NE(second.status().message().find("12.0 MiB of disk"), std::string::npos) << second.status().message();
    // Others take the rest.
    std::ofstream rest(disk.path() + "/rest", std::ios::binary);
    while (rest << std::string(64 * kKiB, 'x') << std::flush) {
    }
    std::memset(file->data(), 3, kBytes);
    EXPECT_TRUE(file->Evict(kWhole).ok());
    EXPECT_TRUE(AllAre(*file, 3, kWhole));
    std::filesystem::remove(disk.path() + "/rest");
  }
  EXPECT_GE(disk.FreeBytes() + 64 * kKiB, free) << "and given back";
}

}  // namespace
}  // namespace headrace
