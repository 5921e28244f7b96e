#include "telemetry/snapshot_files.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

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
  std::string PathOf(pid_t owner, const std::string& end = "abcdef") const { return folder_ + "/headrace-" + std::to_string(owner) + "-" + end; }
  static void Write(const std::string& path) {
    SnapshotWriter writer;
    ASSERT_TRUE(writer.MapFile(path).ok());
  }

  std::string folder_;
  pid_t gone_ = 0;
};

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
  for (const std::string& name : {PathOf(1), PathOf(1) + ".77", folder_ + "/headrace-x", folder_ + "/headrace-12", folder_ + "/headrace--1-abc", folder_ + "/other"}) {
    std::ofstream(name) << "x";
  }
  EXPECT_EQ(FindSnapshotFiles({folder_, folder_ + "/absent"}), (std::vector<std::string>{PathOf(1), PathOf(1) + ".77"}));
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
