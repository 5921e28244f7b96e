#include "telemetry/snapshot.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include <gtest/gtest.h>

namespace headrace {
namespace {

class SnapshotTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "snapshot_test_XXXXXX";
    const int fd = ::mkstemp(name);
    ASSERT_GE(fd, 0);
    ::close(fd);
    path_ = name;
  }
  void TearDown() override { ::unlink(path_.c_str()); }
  std::string path_;
};

TEST_F(SnapshotTest, AReaderSeesWhatTheWriterCounts) {
  SnapshotWriter writer;
  ASSERT_TRUE(writer.MapFile(path_).ok());
  const auto view = SnapshotView::Open(path_);
  ASSERT_TRUE(view.ok()) << view.status().message();
  writer->passes = 7;
  writer->state = Snapshot::kStreaming;
  EXPECT_EQ((*view)->passes, 7u);
  EXPECT_EQ((*view)->state, Snapshot::kStreaming);
  EXPECT_EQ((*view)->process_id, static_cast<uint64_t>(::getpid()));
}

TEST_F(SnapshotTest, OutlivesItsWriter) {
  {
    SnapshotWriter writer;
    ASSERT_TRUE(writer.MapFile(path_).ok());
    writer->bytes_read = 99;
  }
  const auto view = SnapshotView::Open(path_);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ((*view)->bytes_read, 99u);
}

TEST_F(SnapshotTest, TheFirstErrorStaysAndIsCut) {
  SnapshotWriter writer;
  SetLastError(*writer, std::string(2000, 'x'));
  SetLastError(*writer, "second");
  EXPECT_EQ(std::string(writer->last_error), std::string(sizeof(Snapshot::last_error) - 1, 'x'));
}

TEST_F(SnapshotTest, RefusesWhatIsNone) {
  EXPECT_EQ(SnapshotView::Open(path_ + ".absent").status().code(), Code::kNotFound);
  EXPECT_EQ(SnapshotView::Open(path_).status().code(), Code::kNotFound);  // still empty
  std::ofstream(path_) << "something else";
  EXPECT_EQ(SnapshotView::Open(path_).status().code(), Code::kCorrupt);
  std::ofstream(path_) << std::string(sizeof(Snapshot), 'x');
  EXPECT_EQ(SnapshotView::Open(path_).status().code(), Code::kCorrupt);
}

TEST_F(SnapshotTest, AnUnwritablePlaceIsAnErrorThatNamesIt) {
  SnapshotWriter writer;
  const Status status = writer.MapFile("/nonexistent-folder/snapshot");
  EXPECT_EQ(status.code(), Code::kIo);
  EXPECT_NE(status.message().find("/nonexistent-folder/snapshot"), std::string::npos);
  writer->passes = 1;  // still counts, in private memory
}

}  // namespace
}  // namespace headrace
