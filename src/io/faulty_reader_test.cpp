#include "io/faulty_reader.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>

#include "io/io_test_util.h"

namespace headrace {
namespace {

TEST(ParseFaultSpec, UnderstandsWhatTestsWrite) {
  const auto parse = [](const char* text) {
    const auto spec = ParseFaultSpec(text);
    EXPECT_TRUE(spec.ok()) << spec.status().message();
    return spec.ok() ? *spec : FaultSpec{};
  };
  EXPECT_EQ(parse("after=100,errno=EIO"), (FaultSpec{.after = 100, .error = EIO}));
  EXPECT_EQ(parse("range=4096-8192"), (FaultSpec{.begin = 4096, .end = 8192, .error = EIO}));
  EXPECT_EQ(parse("range=1M-1.5G,times=2,errno=12"),
            (FaultSpec{.begin = kMiB, .end = 3 * kGiB / 2, .times = 2, .error = ENOMEM}));
  EXPECT_EQ(parse("short=8K"), (FaultSpec{.short_bytes = 8192}));
  EXPECT_EQ(parse("truncated=1,after=3,times=1"), (FaultSpec{.after = 3, .times = 1, .truncated = true}));
  EXPECT_EQ(parse("delay_us=500,reorder=1"), (FaultSpec{.delay_us = 500, .reorder = true}));
}

TEST(ParseFaultSpec, RefusesTheRestNamingIt) {
  for (const char* text : {"",
                           ",",
                           "after",
                           "after=",
                           "after=x",
                           "after=-1",
                           "after=1x",
                           "errno=EWHAT",
                           "errno=0",
                           "errno=-5",
                           "range=5",
                           "range=8-4",
                           "range=4-4",
                           "range=a-b",
                           "short=0",
                           "short=5G",
                           "reorder=2",
                           "what=1",
                           "after=1,",
                           "after=1,,times=2",
                           "after=1 ,times=2"}) {
    const auto spec = ParseFaultSpec(text);
    ASSERT_FALSE(spec.ok()) << text;
    EXPECT_EQ(spec.status().code(), Code::kInvalidArgument);
    EXPECT_NE(spec.status().message().find("fault '" + std::string(text) + "'"), std::string::npos);
  }
}

class FaultyReaderTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kPiece = 4 * kReadAlignment;
  static constexpr unsigned kPieces = 8;

  void SetUp() override {
    const TestDirectory directory;
    WriteTestFile(directory / "weights", kPiece * kPieces);
    auto file = SourceFile::Open(directory / "weights");
    ASSERT_TRUE(file.ok());
    file_ = std::move(file).value();
  }

  // Reads all pieces at once; tags in the order of the results, and the codes by piece.
  void ReadAll(const char* spec) {
    auto base = MakeReader(ReaderKind::kPread, kPieces);
    ASSERT_TRUE(base.ok());
    const auto reader = MakeFaultyReader(std::move(base).value(), *ParseFaultSpec(spec));
    std::vector<ReadRequest> requests;
    for (unsigned i = 0; i < kPieces; ++i)
      requests.push_back({&file_, i * kPiece, kPiece, memory_.data() + i * kPiece, i});
    reader->Submit(requests);
    std::vector<ReadResult> results;
    while (reader->in_flight() > 0) reader->Collect(true, results);
    ASSERT_EQ(results.size(), kPieces);
    order_.clear();
    failed_.clear();
    for (const ReadResult& result : results) {
      order_.push_back(result.tag);
      if (!result.status.ok()) {
        EXPECT_EQ(result.status.code(), Code::kIo);
        failed_.push_back(result.tag);
      } else {
        EXPECT_EQ(FirstDifference(memory_.data() + result.tag * kPiece, result.tag * kPiece, kPiece), -1);
      }
    }
    std::sort(failed_.begin(), failed_.end());
    retries_ = reader->retries();
  }

  using Tags = std::vector<uint64_t>;
  SourceFile file_;
  TestMemory memory_{kPiece * kPieces};
  Tags order_, failed_;
  uint64_t retries_ = 0;
};

TEST_F(FaultyReaderTest, ARangeFails) {
  ReadAll("range=20K-36K");  // pieces 1 and 2 overlap it
  EXPECT_EQ(failed_, (Tags{1, 2}));
  EXPECT_EQ(retries_, 4u);
}

TEST_F(FaultyReaderTest, TheNthReadFailsForAWhile) {
  ReadAll("after=3,times=2");
  EXPECT_EQ(failed_, (Tags{}));
  EXPECT_EQ(retries_, 2u);
  ReadAll("after=3,times=3");
  EXPECT_EQ(failed_, (Tags{3}));
  ReadAll("after=3");
  EXPECT_EQ(failed_, (Tags{3, 4, 5, 6, 7}));
}

TEST_F(FaultyReaderTest, InterruptionsPass) {
  ReadAll("times=50,errno=EINTR");
  EXPECT_EQ(failed_, (Tags{}));
  EXPECT_EQ(retries_, 0u);
}

TEST_F(FaultyReaderTest, ShortReadsAreContinued) {
  ReadAll("short=5000");
  EXPECT_EQ(failed_, (Tags{}));
  EXPECT_EQ(retries_, 0u);
  ReadAll("short=100,range=16K-32K");  // as of a file that ends in the middle of a page
  EXPECT_EQ(failed_, (Tags{1}));
}

TEST_F(FaultyReaderTest, ResultsComeLateAndReversed) {
  const auto begin = std::chrono::steady_clock::now();
  ReadAll("delay_us=30000");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(30));
  EXPECT_EQ(failed_, (Tags{}));
  ReadAll("reorder=1,range=0-1,errno=EIO");
  EXPECT_EQ(failed_, (Tags{0}));
  EXPECT_EQ(order_.back(), 0u);
  EXPECT_FALSE(std::is_sorted(order_.begin(), order_.end()));
}

}  // namespace
}  // namespace headrace
