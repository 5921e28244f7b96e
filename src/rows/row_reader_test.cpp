#include "rows/row_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "base/size.h"
#include "io/faulty_reader.h"
#include "io/io_test_util.h"

namespace headrace {
namespace {

constexpr uint64_t kFirst = 100, kRowBytes = 1900, kRows = 500;

class RowReaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteTestFile(directory_ / "table", kFirst + kRows * kRowBytes);
    auto file = SourceFile::Open(directory_ / "table");
    ASSERT_TRUE(file.ok()) << file.status().message();
    file_ = std::make_unique<SourceFile>(std::move(*file));
    memory_.resize(kRows * kRowBytes);
  }

  std::unique_ptr<RowReader> Start(const std::string& fault = "", unsigned depth = 4) {
    reads_ = std::make_unique<ReadService>([fault](unsigned most) {
      auto reader = MakeReader(ReaderKind::kPread, most);
      if (reader.ok() && !fault.empty()) *reader = MakeFaultyReader(std::move(*reader), *ParseFaultSpec(fault));
      return reader;
    });
    EXPECT_TRUE(reads_->Start().ok());
    auto buffers = Region::Reserve(depth * 2 * kReadAlignment);
    EXPECT_TRUE(buffers.ok() && buffers->Commit(0, depth * 2 * kReadAlignment).ok());
    return std::make_unique<RowReader>(*reads_, std::move(*buffers), 2 * kReadAlignment);
  }
  void Begin(RowReader& reader, const std::vector<uint64_t>& rows) {
    std::vector<WantedRow> wanted;
    for (const uint64_t row : rows) wanted.push_back({kFirst + row * kRowBytes, memory_.data() + row * kRowBytes});
    reader.Begin(*file_, kRowBytes, std::move(wanted));
  }
  bool Right(uint64_t row) const {
    return FirstDifference(memory_.data() + row * kRowBytes, kFirst + row * kRowBytes, kRowBytes) == -1;
  }

  TestDirectory directory_;
  std::unique_ptr<SourceFile> file_;
  std::unique_ptr<ReadService> reads_;
  std::vector<std::byte> memory_;
};

TEST_F(RowReaderTest, AllRowsInAnyOrder) {
  for (const char* fault : {"", "short=4K,reorder=1", "delay_us=300"}) {
    std::fill(memory_.begin(), memory_.end(), std::byte{0});
    const auto reader = Start(fault);
    EXPECT_TRUE(reader->Wait().ok()) << "nothing was begun";
    std::vector<uint64_t> rows(kRows);
    std::iota(rows.begin(), rows.end(), 0);
    std::shuffle(rows.begin(), rows.end(), std::mt19937(1));
    Begin(*reader, {rows.begin(), rows.begin() + 100});
    Begin(*reader, {rows.begin() + 100, rows.begin() + 101});
    Begin(*reader, {});
    Begin(*reader, {rows.begin() + 101, rows.end()});
    ASSERT_TRUE(reader->Wait().ok());
    for (uint64_t row = 0; row < kRows; ++row) ASSERT_TRUE(Right(row)) << row << " " << fault;
  }
}

TEST_F(RowReaderTest, NeighboursAreReadOnce) {
  const auto reader = Start();
  Begin(*reader, {10, 11, 12, 13});
  ASSERT_TRUE(reader->Wait().ok());
  EXPECT_LE(reader->bytes_read(), 4 * kReadAlignment)
      << "7600 bytes in at most three pages and one more where a read ends";
}

TEST_F(RowReaderTest, AnErrorIsToldOnceAndWhatComesLaterIsRead) {
  const auto reader = Start("times=3,errno=EIO", 1);
  std::vector<uint64_t> rows(kRows);
  std::iota(rows.begin(), rows.end(), 0);
  Begin(*reader, rows);
  const Status status = reader->Wait();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("table"), std::string::npos) << status.message();
  EXPECT_EQ(reads_->reads_failed(), 1u);
  EXPECT_EQ(reader->bytes_read(), 0u) << "after an error nothing more of what was begun is read";
  Begin(*reader, {3});
  EXPECT_TRUE(reader->Wait().ok());
  EXPECT_TRUE(Right(3));
}

TEST_F(RowReaderTest, StopsWhileReadsAreOutstanding) {
  const auto reader = Start("delay_us=5000");
  std::vector<uint64_t> rows(kRows);
  std::iota(rows.begin(), rows.end(), 0);
  Begin(*reader, rows);
}

}  // namespace
}  // namespace headrace
