#include "stream/range_copy.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/size.h"
#include "base/text_file.h"
#include "io/faulty_reader.h"
#include "io/io_test_util.h"

namespace headrace {
namespace {

class RangeCopyTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kBytes = 41 * kMiB + 1234;

  void SetUp() override {
    char name[] = "range_copy_test_XXXXXX";
    const Descriptor fd(::mkstemp(name));
    ASSERT_TRUE(fd.valid());
    path_ = name;
    content_.resize(kBytes);
    std::mt19937_64 random(5);
    for (size_t i = 0; i + 8 <= kBytes; i += 8) {
      const uint64_t word = random();
      std::memcpy(&content_[i], &word, 8);
    }
    ASSERT_EQ(::write(fd.get(), content_.data(), content_.size()), static_cast<ssize_t>(content_.size()));
    auto file = SourceFile::Open(path_);
    ASSERT_TRUE(file.ok()) << file.status().message();
    file_ = std::make_shared<SourceFile>(std::move(*file));
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  // What the copy hands on, and that it does so in order and in small pieces.
  std::vector<uint8_t> Copied(RangeCopy& copies, uint64_t offset, uint64_t bytes, bool reads_on) {
    std::vector<uint8_t> copied;
    const auto take = [&](const uint8_t* data, uint64_t at, uint64_t count) {
      EXPECT_EQ(at, copied.size());
      EXPECT_LE(count, RangeCopy::kPieceBytes);
      copied.insert(copied.end(), data, data + count);
    };
    const Status status =
        reads_on ? copies.CopyAndReadOn(file_, offset, bytes, take) : copies.Copy(file_, offset, bytes, take);
    EXPECT_TRUE(status.ok()) << status.message();
    return copied;
  }
  void ExpectCopied(RangeCopy& copies, uint64_t offset, uint64_t bytes, bool reads_on = true) {
    const auto copied = Copied(copies, offset, bytes, reads_on);
    ASSERT_EQ(copied.size(), bytes);
    EXPECT_EQ(std::memcmp(copied.data(), &content_[offset], bytes), 0);
  }

  std::string path_;
  std::vector<uint8_t> content_;
  std::shared_ptr<const SourceFile> file_;
  Headroom headroom_{ReadTextFile};
  ReadService reads_{[](unsigned depth) { return MakeReader(ReaderKind::kAuto, depth); }};
};

TEST_F(RangeCopyTest, HandsRangesOnInOrder) {
  RangeCopy copies(reads_, headroom_);
  EXPECT_EQ(copies.memory_bytes(), 0u);
  ExpectCopied(copies, 0, 1);
  ExpectCopied(copies, 4095, 3);
  ExpectCopied(copies, 777, 40 * kMiB);
  ExpectCopied(copies, kBytes - 5, 5);
  ExpectCopied(copies, 3 * kMiB + 1, 5 * kMiB, false);
  EXPECT_EQ(copies.memory_bytes(), RangeCopy::kRingBytes);
}

// Layers of a large range and two small ones, with gaps; the last is asked for before the one in the middle.
TEST_F(RangeCopyTest, WhatFollowsInAnyOrderIsReadOnce) {
  RangeCopy copies(reads_, headroom_);
  constexpr uint64_t kLarge = 2 * kMiB + 777, kSmall = 5000, kLayer = kLarge + 2 * kSmall + 300 * kKiB;
  uint64_t copied = 0, ranges = 0;
  for (uint64_t at = 32; at + kLayer < kBytes; at += kLayer) {
    ExpectCopied(copies, at, kLarge);
    ExpectCopied(copies, at + kLarge + kSmall + 60, kSmall);
    ExpectCopied(copies, at + kLarge + 23, kSmall);
    copied += kLarge + 2 * kSmall;
    ranges += 3;
  }
  copies.Close();
  // Besides: whole pages, and the layer that was expected after the last one.
  EXPECT_LE(reads_.bytes_read(), copied + ranges * 2 * kReadAlignment + kLayer + 4 * kReadAlignment)
      << "something was read twice";
}

TEST_F(RangeCopyTest, NothingIsReadAheadOfASingleRange) {
  RangeCopy copies(reads_, headroom_);
  ExpectCopied(copies, kMiB, 2 * kMiB, false);
  copies.Close();
  EXPECT_LE(reads_.bytes_read(), 2 * kMiB + 3 * kReadAlignment);
}

TEST_F(RangeCopyTest, GivesItsMemoryBackWhenNothingWasCopiedForATime) {
  RangeCopy copies(reads_, headroom_);
  copies.CloseIfIdle();
  ExpectCopied(copies, 0, kMiB);
  copies.CloseIfIdle();
  EXPECT_EQ(copies.memory_bytes(), RangeCopy::kRingBytes) << "it was used since";
  copies.CloseIfIdle();
  EXPECT_EQ(copies.memory_bytes(), 0u);
  ExpectCopied(copies, 5, kMiB);
}

TEST_F(RangeCopyTest, AReadThatFailsIsAnErrorAndTheNextCopyIsRight) {
  // Longer than a read is tried again.
  const auto spec = ParseFaultSpec("range=8M-9M,times=16");
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  ReadService reads([&](unsigned depth) -> Result<std::unique_ptr<Reader>> {
    auto reader = MakeReader(ReaderKind::kAuto, depth);
    if (!reader.ok()) return reader;
    return MakeFaultyReader(std::move(*reader), *spec);
  });
  RangeCopy copies(reads, headroom_);
  uint64_t taken = 0;
  const Status failed =
      copies.CopyAndReadOn(file_, 0, 20 * kMiB, [&](const uint8_t* data, uint64_t at, uint64_t bytes) {
        EXPECT_EQ(std::memcmp(data, &content_[at], bytes), 0);
        taken += bytes;
      });
  EXPECT_EQ(failed.code(), Code::kIo) << failed.message();
  EXPECT_EQ(taken, 8 * kMiB);
  ExpectCopied(copies, 9 * kMiB, 20 * kMiB);
}

}  // namespace
}  // namespace headrace
