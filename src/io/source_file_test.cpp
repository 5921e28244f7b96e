#include "io/source_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "io/io_test_util.h"

namespace headrace {
namespace {

constexpr uint64_t kBytes = 3 * kReadAlignment + 17;

class SourceFileTest : public ::testing::Test {
 protected:
  void SetUp() override { WriteTestFile(path_, kBytes); }

  SourceFile MustOpen(SourceFile::Access access = SourceFile::Access::kDirect) {
    auto file = SourceFile::Open(path_, access);
    EXPECT_TRUE(file.ok()) << file.status().message();
    return std::move(file).value();
  }
  // Time stamps of files move in steps of some milliseconds.
  static void LetTheClockTick() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

  TestDirectory directory_;
  const std::string path_ = directory_ / "weights";
};

TEST_F(SourceFileTest, KnowsTheFile) {
  std::filesystem::create_hard_link(path_, directory_ / "other");
  const SourceFile file = MustOpen();
  EXPECT_EQ(file.size(), kBytes);
  EXPECT_EQ(file.path(), path_);
  const auto other = SourceFile::Open(directory_ / "other");
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(file.identity(), other->identity());
  WriteTestFile(directory_ / "third", 1);
  EXPECT_NE(file.identity(), SourceFile::Open(directory_ / "third")->identity());
}

// A file that is open already is opened again whatever its name leads to, and keeps the name that messages are to have.
TEST_F(SourceFileTest, OpensWhatADescriptorHolds) {
  const SourceFile first = MustOpen();
  std::filesystem::remove(path_);
  const auto again =
      SourceFile::Open("/proc/self/fd/" + std::to_string(first.fd()), SourceFile::Access::kDirect, "the weights");
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_TRUE(again->identity() == first.identity());
  EXPECT_EQ(again->path(), "the weights");
  const auto absent = SourceFile::Open(path_, SourceFile::Access::kDirect, "the weights");
  EXPECT_TRUE(absent.status().message().starts_with("the weights: cannot open")) << absent.status().message();
}

TEST_F(SourceFileTest, FlagsAreThoseOfTheAccess) {
  const SourceFile buffered = MustOpen(SourceFile::Access::kBuffered);
  EXPECT_FALSE(buffered.direct());
  const int flags = ::fcntl(buffered.fd(), F_GETFL);
  EXPECT_EQ(flags & (O_DIRECT | O_NONBLOCK), 0);
  EXPECT_NE(::fcntl(buffered.fd(), F_GETFD) & FD_CLOEXEC, 0);

  const SourceFile direct = MustOpen();
  if (!direct.direct()) GTEST_SKIP() << "no direct reads in the working directory";
  EXPECT_EQ(::fcntl(direct.fd(), F_GETFL) & (O_DIRECT | O_NONBLOCK), O_DIRECT);
}

TEST_F(SourceFileTest, AFileInMemoryIsBuffered) {
  ASSERT_EQ(::access("/dev/shm", W_OK), 0) << "no /dev/shm to write to";
  const TestDirectory memory("/dev/shm");
  WriteTestFile(memory / "weights", kBytes);
  const auto file = SourceFile::Open(memory / "weights");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_FALSE(file->direct());
  EXPECT_EQ(::fcntl(file->fd(), F_GETFL) & O_DIRECT, 0);
}

TEST_F(SourceFileTest, EmptyAndTinyFilesOpen) {
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}}) {
    WriteTestFile(directory_ / "tiny", bytes);
    const auto file = SourceFile::Open(directory_ / "tiny");
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ(file->size(), bytes);
  }
}

TEST_F(SourceFileTest, RefusesWhatIsNoRegularFile) {
  ASSERT_EQ(::mkfifo((directory_ / "fifo").c_str(), 0600), 0);
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string socket_path = std::filesystem::relative(directory_ / "socket");
  ASSERT_LT(socket_path.size(), sizeof address.sun_path);
  std::strcpy(address.sun_path, socket_path.c_str());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  for (const std::string& path :
       {directory_ / "fifo", directory_ / "", directory_ / "socket", std::string("/dev/zero"), path_ + '\0' + "x"}) {
    const auto file = SourceFile::Open(path);
    ASSERT_FALSE(file.ok()) << path;
    EXPECT_EQ(file.status().code(), Code::kInvalidArgument) << file.status().message();
    EXPECT_EQ(file.status().message().find(path.c_str()), 0u) << file.status().message();
  }
}

TEST_F(SourceFileTest, ErrorsSayWhichAndWhy) {
  for (const std::string& path : {directory_ / "absent", path_ + "/below", std::string()}) {
    const auto file = SourceFile::Open(path);
    EXPECT_EQ(file.status().code(), Code::kNotFound) << file.status().message();
    EXPECT_EQ(file.status().message().find(path), 0u);
  }
  if (::geteuid() != 0) {
    ASSERT_EQ(::chmod(path_.c_str(), 0), 0);
    EXPECT_EQ(SourceFile::Open(path_).status().code(), Code::kPermission);
  }
}

TEST_F(SourceFileTest, UnchangedAfterRenameAndRemoval) {
  const SourceFile file = MustOpen();
  LetTheClockTick();
  EXPECT_TRUE(file.CheckUnchanged().ok());
  std::filesystem::rename(path_, directory_ / "renamed");
  EXPECT_TRUE(file.CheckUnchanged().ok());
  std::filesystem::remove(directory_ / "renamed");
  WriteTestFile(path_, 5);  // another file under the name
  EXPECT_TRUE(file.CheckUnchanged().ok()) << file.CheckUnchanged().message();
}

TEST_F(SourceFileTest, DetectsChanges) {
  const auto truncate = [&] { std::filesystem::resize_file(path_, kBytes - 1); };
  const auto append = [&] { std::ofstream(path_, std::ios::app) << "x"; };
  const auto overwrite = [&] { std::fstream(path_, std::ios::in | std::ios::out) << "x"; };
  const auto touch = [&] { ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0), 0); };
  for (const std::function<void()>& change :
       std::initializer_list<std::function<void()>>{truncate, append, overwrite, touch}) {
    const SourceFile file = MustOpen();
    LetTheClockTick();
    ASSERT_TRUE(file.CheckUnchanged().ok());
    change();
    EXPECT_EQ(file.CheckUnchanged().code(), Code::kChanged);
    EXPECT_NE(file.CheckUnchanged().message().find(path_), std::string::npos);
  }
}

}  // namespace
}  // namespace headrace
