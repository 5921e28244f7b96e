// A KV cache that cannot live in the folder that was named: a clear error before anything is generated, and no crash
// when the disk fills up or fails later.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>

#include "base/size.h"
#include "dump.h"
#include "engine_run.h"
#include "kv/loop_disk_test.h"
#include "models.h"

namespace headrace::testing {
namespace {

namespace fs = std::filesystem;

// 6 MiB of keys and values.
const std::vector<std::string> kScenario = {HEADRACE_KV_SCENARIOS, "prompt", "--model",
                                            BundledModel("austen-dense-q4_0.gguf")};

EngineRun RunIn(const std::string& folder, const std::map<std::string, std::string>& more = {}) {
  std::map<std::string, std::string> environment = more;
  environment.insert({{"LD_PRELOAD", LibraryPath()}, {"HEADRACE_KV_DIR", folder}, {"HEADRACE_KV_RAM", "2M"}});
  return RunDumper(kScenario, environment);
}

const EngineRun& Stock() {
  static const EngineRun stock = RunDumper(kScenario, {});
  return stock;
}

// The context was not made; one line says why, and holds all of `words`.
void ExpectRefused(const EngineRun& run, const std::vector<std::string>& words) {
  EXPECT_TRUE(FailedCleanly(Stock(), run));
  EXPECT_EQ(run.dump, "");
  const auto lines = Lines(run.child.err, "headrace: ");
  ASSERT_EQ(lines.size(), 1u) << run.child.Describe();
  for (const std::string& word : words)
    EXPECT_NE(lines[0].find(word), std::string::npos) << word << " is not in: " << lines[0];
  ASSERT_TRUE(run.snapshot);
  EXPECT_NE((*run.snapshot)->last_error[0], '\0');
}

TEST(KvRefused, FoldersThatCannotBeUsed) {
  const std::string file = WorkDirectory() + "/file";
  std::ofstream(file) << "x";
  ExpectRefused(RunIn("/nonexistent/folder"), {"/nonexistent/folder", "No such file"});
  ExpectRefused(RunIn(file), {file, "not a folder"});
  ExpectRefused(RunIn("/proc"), {"/proc"});
  EXPECT_TRUE(fs::exists(file));
}

TEST(KvRefused, FileSystemsInMemory) { ExpectRefused(RunIn("/dev/shm"), {"/dev/shm", "lies in memory"}); }

TEST(KvRefused, LimitsThatAreTooSmall) {
  ExpectRefused(RunIn(WorkDirectory(), {{"HEADRACE_KV_DISK_MAX", "5M"}}),
                {"6.00 MiB", "5.00 MiB", "--kv-disk-max", "-ctk q8_0"});
  ExpectRefused(RunIn(WorkDirectory(), {{"HEADRACE_KV_RAM", "900K"}}), {"900 KiB", "1.00 MiB", "--kv-ram"});
  EXPECT_TRUE(SameBytes(Stock(), RunIn(WorkDirectory(), {{"HEADRACE_KV_DISK_MAX", "6M"}})));
}

// Values that are not understood are said and change nothing: the cache stays in memory.
TEST(KvRefused, SizesThatAreNone) {
  for (const char* name : {"HEADRACE_KV_RAM", "HEADRACE_KV_DISK_MAX"}) {
    const EngineRun run = RunIn(WorkDirectory(), {{name, "much"}});
    EXPECT_TRUE(SameBytes(Stock(), run));
    EXPECT_EQ(Lines(run.child.err, "headrace: ").size(), 1u) << run.child.Describe();
    EXPECT_EQ(Lines(run.child.err, name).size(), 1u) << run.child.Describe();
  }
}

TEST(KvDisk, WithoutRoomForTheCache) {
  const LoopDisk disk(WorkDirectory(), 4 * kMiB);
  if (!disk.problem().empty()) GTEST_SKIP() << disk.problem();
  ExpectRefused(RunIn(disk.path()), {disk.path(), "6.00 MiB of disk", "free", "--kv-dir"});
  EXPECT_GT(disk.FreeBytes(), 2 * kMiB) << "space was not given back";
}

// Somebody else takes all that is left once the cache has its blocks: nothing is lost.
TEST(KvDisk, ThatFillsUpLater) {
  const LoopDisk disk(WorkDirectory(), 9 * kMiB);
  if (!disk.problem().empty()) GTEST_SKIP() << disk.problem();
  ASSERT_GT(disk.FreeBytes(), 6 * kMiB);
  // The host fills the disk when its context exists.
  const EngineRun run = RunIn(disk.path(), {{"HEADRACE_TEST_FILL_DISK", disk.path() + "/rest"}});
  EXPECT_TRUE(SameBytes(Stock(), run));
  EXPECT_TRUE(fs::exists(disk.path() + "/rest")) << "the disk was not filled";
  ASSERT_TRUE(run.snapshot);
  EXPECT_GT((*run.snapshot)->kv_bytes_read.load(), 4 * kMiB);
}

// The disk below the file system has less room than it says: writes fail. No output of a pass that may have seen wrong
// keys is returned.
TEST(KvDisk, ThatCannotBeWritten) {
  const std::string memory = WorkDirectory() + "/memory";
  fs::create_directory(memory);
  if (::geteuid() != 0 || ::mount("none", memory.c_str(), "tmpfs", 0, "size=12M") != 0) {
    GTEST_SKIP() << "needs root to mount a file system";
  }
  {
    const LoopDisk disk(memory, 64 * kMiB);
    if (disk.problem().empty()) {
      ::sync();
      std::ofstream rest(memory + "/rest", std::ios::binary);
      while (rest << std::string(64 * kKiB, 'x') << std::flush) {
      }
      const EngineRun run = RunIn(disk.path());
      EXPECT_TRUE(FailedCleanly(Stock(), run));
      EXPECT_GE(Lines(run.child.err, "KV cache").size(), 1u) << run.child.Describe();
    } else {
      ADD_FAILURE() << disk.problem();
    }
  }
  ::umount(memory.c_str());
}

}  // namespace
}  // namespace headrace::testing
