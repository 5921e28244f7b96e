#include "telemetry/snapshot_files.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>

#include <gtest/gtest.h>

#include "telemetry/snapshot.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

class SnapshotFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/snapshot_files_test_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
    // The number of a process that was and is no more.
    gone_ = ::fork();
    if (gone_ == 0) ::_exit(0);
    ::waitpid(gone_, nullptr, 0);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string PathOf(pid_t owner, const std::string& end = "abcdef") const {
    return folder_ + "/headrace-" + std::to_string(owner) + "-" + end;
  }
  static void Write(const std::string& path) {
    SnapshotWriter writer;
    ASSERT_TRUE(writer.MapFile(path).ok());
  }

  std::string folder_;
  pid_t gone_ = 0;
};

// Runs `check` in a child that sees file systems of its own, each of 64 KiB and full, in these folders. None where that
// is not allowed.
std::optional<bool> WithFullFolders(const std::vector<std::string>& folders, const std::function<bool()>& check) {
  constexpr int kWrong = 1, kCannot = 2;
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      ::_exit(kCannot);
    for (const std::string& folder : folders) {
      if (::mount("none", folder.c_str(), "tmpfs", 0, "size=64k") != 0) ::_exit(kCannot);
      std::ofstream(folder + "/fill") << std::string(128 << 10, 'x');
    }
    ::_exit(check() ? 0 : kWrong);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCannot) return std::nullopt;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;  // a signal is wrong, too
}

TEST_F(SnapshotFilesTest, AFullFolderIsPassedOver) {
  fs::create_directory(folder_ + "/full");
  const auto next = WithFullFolders({"/dev/shm"}, [&] {
    ::setenv("TMPDIR", folder_.c_str(), 1);
    SnapshotWriter writer;
    const auto path = CreateSnapshotFile();
    return path.ok() && path->starts_with(folder_ + "/headrace-") && writer.MapFile(*path).ok() &&
           FindSnapshotFiles({"/dev/shm"}).empty();
  });
  if (!next) GTEST_SKIP() << "cannot mount a file system here";
  EXPECT_TRUE(*next);
  const auto none = WithFullFolders({"/dev/shm", "/tmp"}, [] {
    ::setenv("TMPDIR", "/dev/shm", 1);
    const auto path = CreateSnapshotFile();
    return !path.ok() && path.status().message().find("No space left on device") != std::string::npos &&
           FindSnapshotFiles({"/dev/shm", "/tmp"}).empty();
  });
  EXPECT_EQ(none, true);
  const auto named = WithFullFolders({folder_ + "/full"}, [&] {
    SnapshotWriter writer;
    const Status mapped = writer.MapFile(folder_ + "/full/named");
    writer->passes = 1;  // in memory of its own
    return mapped.code() == Code::kIo;
  });
  EXPECT_EQ(named, true);
}

TEST_F(SnapshotFilesTest, ACreatedFileIsFoundAndOursAlone) {
  const auto path = CreateSnapshotFile();
  ASSERT_TRUE(path.ok()) << path.status().message();
  struct stat info {};
  ASSERT_EQ(::stat(path->c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto found = FindSnapshotFiles();
  EXPECT_NE(std::find(found.begin(), found.end(), *path), found.end());
  EXPECT_FALSE(RemoveIfAbandoned(*path)) << "this process lives";
  ::unlink(path->c_str());
}

TEST_F(SnapshotFilesTest, FindsByNameOnly) {
  for (const std::string& name : {PathOf(1), PathOf(1) + ".77", folder_ + "/headrace-x", folder_ + "/headrace-12",
                                  folder_ + "/headrace--1-abc", folder_ + "/other"}) {
    std::ofstream(name) << "x";
  }
  EXPECT_EQ(FindSnapshotFiles({folder_, folder_ + "/absent"}),
            (std::vector<std::string>{PathOf(1), PathOf(1) + ".77"}));
  EXPECT_EQ(SnapshotFilesOf(PathOf(1)), (std::vector<std::string>{PathOf(1), PathOf(1) + ".77"}));
}

TEST_F(SnapshotFilesTest, RemovesWhatIsNobodys) {
  for (const char* end : {"abcdef", "ghijkl.77"}) {
    Write(PathOf(gone_, end));
    EXPECT_TRUE(RemoveIfAbandoned(PathOf(gone_, end)));
    EXPECT_FALSE(fs::exists(PathOf(gone_, end)));
  }
  std::ofstream(PathOf(gone_)).flush();
  EXPECT_TRUE(RemoveIfAbandoned(PathOf(gone_))) << "empty";
  std::ofstream(PathOf(gone_)) << std::string(sizeof(Snapshot) / 2, '\0');
  EXPECT_TRUE(RemoveIfAbandoned(PathOf(gone_))) << "another version's, whose process was killed before it wrote";
}

TEST_F(SnapshotFilesTest, KeepsWhatMayBeSomebodys) {
  Write(PathOf(::getpid()));
  EXPECT_FALSE(RemoveIfAbandoned(PathOf(::getpid()))) << "its session still reads it";
  SnapshotWriter writer;
  ASSERT_TRUE(writer.MapFile(PathOf(gone_, "alive")).ok());
  EXPECT_FALSE(RemoveIfAbandoned(PathOf(gone_, "alive"))) << "a process still writes it";
  std::ofstream(PathOf(gone_, "notes")) << "my notes";
  EXPECT_FALSE(RemoveIfAbandoned(PathOf(gone_, "notes"))) << "no snapshot";
  fs::create_symlink(PathOf(gone_, "notes"), PathOf(gone_, "link"));
  EXPECT_FALSE(RemoveIfAbandoned(PathOf(gone_, "link")));
  fs::create_directory(PathOf(gone_, "folder"));
  EXPECT_FALSE(RemoveIfAbandoned(PathOf(gone_, "folder")));
  Write(folder_ + "/headrace-abcdef");
  EXPECT_FALSE(RemoveIfAbandoned(folder_ + "/headrace-abcdef")) << "its name names nobody";
}

TEST_F(SnapshotFilesTest, KeepsFilesOfOtherUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make another user's file";
  Write(PathOf(gone_));
  ASSERT_EQ(::chown(PathOf(gone_).c_str(), 12345, 12345), 0);
  EXPECT_FALSE(RemoveIfAbandoned(PathOf(gone_)));
  EXPECT_TRUE(fs::exists(PathOf(gone_)));
}

}  // namespace
}  // namespace headrace
