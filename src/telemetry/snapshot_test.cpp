#include "telemetry/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <memory>

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
  writer->passes = 7;
  writer->state = Snapshot::kStreaming;
  const auto view = SnapshotView::Open(path_);
  ASSERT_TRUE(view.ok()) << view.status().message();
  EXPECT_TRUE(view->alive());
  EXPECT_EQ(view->user(), ::geteuid());
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
  EXPECT_FALSE(view->alive());
}

TEST_F(SnapshotTest, WhatWasCountedBeforeGoesIntoTheFile) {
  SnapshotWriter writer;
  SetLastError(*writer, "early");
  ASSERT_TRUE(writer.MapFile(path_).ok());
  EXPECT_EQ(writer.path(), path_);
  const auto view = SnapshotView::Open(path_);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(std::string((*view)->last_error), "early");
  EXPECT_EQ((*view)->errors, 1u);
}

TEST_F(SnapshotTest, TheFileOfALivingWriterIsNotTaken) {
  const std::string second_path = path_ + "." + std::to_string(::getpid());
  {
    SnapshotWriter first, second;
    ASSERT_TRUE(first.MapFile(path_).ok());
    first->passes = 1;
    ASSERT_TRUE(second.MapFile(path_).ok());
    second->passes = 2;
    EXPECT_EQ(second.path(), second_path);
    EXPECT_EQ((*SnapshotView::Open(path_))->passes, 1u);
    EXPECT_EQ((*SnapshotView::Open(second_path))->passes, 2u);
  }
  SnapshotWriter third;  // both are gone
  ASSERT_TRUE(third.MapFile(path_).ok());
  EXPECT_EQ(third.path(), path_);
  ::unlink(second_path.c_str());
}

TEST_F(SnapshotTest, AForkedChildDoesNotKeepItAlive) {
  auto writer = std::make_unique<SnapshotWriter>();
  ASSERT_TRUE(writer->MapFile(path_).ok());
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[1]);
    writer->LeaveToParent();
    char byte;
    [[maybe_unused]] const ssize_t waited = ::read(ends[0], &byte, 1);
    ::_exit(0);
  }
  ::usleep(100'000);
  EXPECT_TRUE(SnapshotView::Open(path_)->alive());
  writer.reset();
  bool alive = true;
  for (int i = 0; i < 100 && alive; ++i) {
    alive = SnapshotView::Open(path_)->alive();
    if (alive) ::usleep(50'000);
  }
  EXPECT_FALSE(alive);
  ::close(ends[1]);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
}

TEST_F(SnapshotTest, TheFirstErrorStaysAndIsCut) {
  SnapshotWriter writer;
  SetLastError(*writer, std::string(2000, 'x'));
  SetLastError(*writer, "second");
  EXPECT_EQ(std::string(writer->last_error), std::string(sizeof(Snapshot::last_error) - 1, 'x'));
}

TEST_F(SnapshotTest, RefusesWhatIsNone) {
  const auto code = [](const std::string& path) { return SnapshotView::Open(path).status().code(); };
  EXPECT_EQ(code(path_ + ".absent"), Code::kNotFound);
  EXPECT_EQ(code(path_), Code::kNotFound);  // still empty
  std::ofstream(path_) << "something else";
  EXPECT_EQ(code(path_), Code::kCorrupt);
  std::ofstream(path_) << std::string(sizeof(Snapshot), 'x');
  EXPECT_EQ(code(path_), Code::kCorrupt);
  std::ofstream(path_) << std::string(sizeof(Snapshot), '\0');
  EXPECT_EQ(code(path_), Code::kNotFound);  // the writer is about to begin
  EXPECT_EQ(code("."), Code::kCorrupt);
  ASSERT_EQ(::symlink(path_.c_str(), (path_ + ".link").c_str()), 0);
  EXPECT_EQ(code(path_ + ".link"), Code::kCorrupt);
  ::unlink((path_ + ".link").c_str());
  ::unlink(path_.c_str());
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(code(path_), Code::kCorrupt);
}

TEST_F(SnapshotTest, TellsAnotherVersionFromRubbish) {
  const auto code_of = [&](const Snapshot& snapshot, size_t bytes) {
    std::ofstream(path_).write(reinterpret_cast<const char*>(&snapshot), static_cast<std::streamsize>(bytes));
    return SnapshotView::Open(path_).status();
  };
  Snapshot snapshot;
  snapshot.bytes = sizeof snapshot;
  EXPECT_TRUE(code_of(snapshot, sizeof snapshot).ok());
  EXPECT_EQ(code_of(snapshot, sizeof snapshot - 8).code(), Code::kCorrupt);
  snapshot.version = Snapshot::kVersion - 1;
  for (const size_t bytes : {size_t{24}, sizeof snapshot - 8, sizeof snapshot}) {
    const Status status = code_of(snapshot, bytes);
    EXPECT_EQ(status.code(), Code::kUnsupported) << bytes;
    EXPECT_NE(status.message().find("another version"), std::string::npos) << status.message();
  }
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
