#include "io/read_progress.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/size.h"
#include "io/io_test_util.h"

namespace headrace {
namespace {

constexpr uint32_t kPage = kReadAlignment;

class ReadProgressTest : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteTestFile(path_, 10 * kPage + 100);
    auto file = SourceFile::Open(path_);
    ASSERT_TRUE(file.ok());
    file_ = std::move(file).value();
  }

  ReadProgress Begin(uint64_t offset, uint32_t length) {
    const ReadRequest request{&file_, offset, length, memory_.data(), 0};
    EXPECT_TRUE(CheckRequest(request).ok()) << CheckRequest(request).message();
    return ReadProgress(request);
  }

  TestDirectory directory_;
  const std::string path_ = directory_ / "weights";
  SourceFile file_;
  TestMemory memory_{16 * kPage};
};

TEST_F(ReadProgressTest, AWholeReadFinishes) {
  ReadProgress progress = Begin(kPage, 2 * kPage);
  EXPECT_TRUE(progress.Advance(2 * kPage));
  EXPECT_TRUE(progress.status().ok());
  EXPECT_EQ(progress.retries(), 0u);
}

TEST_F(ReadProgressTest, ShortReadsContinueAtTheLastWholePage) {
  ReadProgress progress = Begin(kPage, 4 * kPage);
  EXPECT_FALSE(progress.Advance(kPage + 512));
  EXPECT_EQ(progress.offset(), 2 * kPage);
  EXPECT_EQ(progress.length(), 3 * kPage);
  EXPECT_EQ(progress.destination(), memory_.data() + kPage);
  EXPECT_FALSE(progress.Advance(2 * kPage));
  EXPECT_TRUE(progress.Advance(kPage));
  EXPECT_TRUE(progress.status().ok());
  EXPECT_EQ(progress.retries(), 0u);
}

TEST_F(ReadProgressTest, ReachingTheEndOfTheFileIsSuccess) {
  ReadProgress whole = Begin(8 * kPage, 8 * kPage);
  EXPECT_TRUE(whole.Advance(2 * kPage + 100));
  EXPECT_TRUE(whole.status().ok());
  ReadProgress pieces = Begin(8 * kPage, 8 * kPage);
  EXPECT_FALSE(pieces.Advance(kPage));
  EXPECT_FALSE(pieces.Advance(kPage));
  EXPECT_TRUE(pieces.Advance(100));
  EXPECT_TRUE(pieces.status().ok());
  ReadProgress grown = Begin(8 * kPage, 8 * kPage);
  EXPECT_TRUE(grown.Advance(8 * kPage));
  EXPECT_TRUE(grown.status().ok());
}

TEST_F(ReadProgressTest, EndingEarlierIsAnErrorAtOnce) {
  ReadProgress progress = Begin(4 * kPage, 8 * kPage);
  EXPECT_FALSE(progress.Advance(2 * kPage + 7));
  EXPECT_TRUE(progress.Advance(0));
  EXPECT_EQ(progress.status().code(), Code::kIo);
  EXPECT_EQ(progress.status().message(), path_ +
                                             ": cannot read 32768 bytes at 16384: the file became shorter: "
                                             "it ends at 24576, and had 41060 bytes "
                                             "when it was opened");
}

TEST_F(ReadProgressTest, LessThanAPageAgainAndAgainIsAnError) {
  ReadProgress progress = Begin(0, 2 * kPage);
  EXPECT_FALSE(progress.Advance(kPage - 1));
  EXPECT_FALSE(progress.Advance(kPage - 1));
  EXPECT_TRUE(progress.Advance(kPage - 1));
  EXPECT_EQ(progress.status().code(), Code::kIo);
}

TEST_F(ReadProgressTest, ErrorsAreTriedAgainThreeTimesInAll) {
  ReadProgress progress = Begin(kPage, 2 * kPage);
  EXPECT_FALSE(progress.Advance(-EIO));
  EXPECT_FALSE(progress.Advance(-EIO));
  EXPECT_TRUE(progress.Advance(-EIO));
  EXPECT_EQ(progress.retries(), 2u);
  EXPECT_EQ(progress.status().code(), Code::kIo);
  EXPECT_EQ(progress.status().message(), path_ + ": cannot read 8192 bytes at 4096: Input/output error");
  ReadProgress lucky = Begin(kPage, 2 * kPage);
  EXPECT_FALSE(lucky.Advance(-EIO));
  EXPECT_FALSE(lucky.Advance(kPage));
  EXPECT_FALSE(lucky.Advance(-EIO));
  EXPECT_EQ(lucky.offset(), 2 * kPage);
  EXPECT_TRUE(lucky.Advance(kPage));
  EXPECT_TRUE(lucky.status().ok());
  EXPECT_EQ(lucky.retries(), 2u);
}

TEST_F(ReadProgressTest, InterruptionsDoNotCountButEnd) {
  ReadProgress progress = Begin(0, kPage);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(progress.Advance(i % 2 == 0 ? -EINTR : -EAGAIN));
  EXPECT_TRUE(progress.Advance(kPage));
  EXPECT_TRUE(progress.status().ok());
  EXPECT_EQ(progress.retries(), 0u);
  ReadProgress endless = Begin(0, kPage);
  int steps = 1;
  while (!endless.Advance(-EINTR)) ASSERT_LT(++steps, 5000);
  EXPECT_EQ(endless.status().code(), Code::kIo);
}

TEST_F(ReadProgressTest, RequestsThatBreakTheRulesAreRefused) {
  const ReadRequest good{&file_, 0, kPage, memory_.data(), 0};
  ASSERT_TRUE(CheckRequest(good).ok());
  const auto refused = [&](auto change) {
    ReadRequest bad = good;
    change(bad);
    return CheckRequest(bad).code() == Code::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](ReadRequest& r) { r.file = nullptr; }));
  EXPECT_TRUE(refused([](ReadRequest& r) { r.length = 0; }));
  EXPECT_TRUE(refused([](ReadRequest& r) { r.length = kPage + 512; }));
  EXPECT_TRUE(refused([](ReadRequest& r) { r.offset = 512; }));
  EXPECT_TRUE(refused([](ReadRequest& r) { r.offset = 11 * kPage; }));
  EXPECT_TRUE(refused([](ReadRequest& r) { r.offset = UINT64_MAX - kPage + 1; }));
  EXPECT_TRUE(refused([](ReadRequest& r) { r.destination = nullptr; }));
  EXPECT_TRUE(refused([](ReadRequest& r) { r.destination = static_cast<std::byte*>(r.destination) + 512; }));
}

}  // namespace
}  // namespace headrace
