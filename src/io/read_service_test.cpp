#include "io/read_service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "base/say.h"
#include "io/faulty_reader.h"
#include "io/gate_reader_test.h"
#include "io/io_test_util.h"

namespace headrace {
namespace {

constexpr uint64_t kFileBytes = 4 * kMiB;

// Reads pages, each into its own place, and notes what has become of them.
class PageClient final : public ReadClient {
 public:
  PageClient(ReadService& reads, const SourceFile& file) : reads_(reads), file_(file), memory_(kFileBytes) {
    reads_.Attach(*this);
  }
  ~PageClient() override { Leave(); }
  void Leave() {
    reads_.Detach(*this);
    left_ = true;
  }

  void Want(ReadKind kind, uint64_t first_page, uint64_t pages) {
    {
      const std::lock_guard lock(mutex_);
      for (uint64_t page = first_page; page < first_page + pages; ++page)
        wanted_[static_cast<size_t>(kind)].push_back(page);
      outstanding_ += pages;
    }
    reads_.Wake();
  }
  // Until nothing is wanted and nothing in flight.
  void AwaitAll() {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return outstanding_ == 0; });
  }
  void ExpectRight(uint64_t first_page, uint64_t pages) {
    const std::lock_guard lock(mutex_);
    for (uint64_t page = first_page; page < first_page + pages; ++page) {
      EXPECT_TRUE(right_.contains(page)) << page;
    }
    EXPECT_EQ(FirstDifference(memory_.data() + first_page * kReadAlignment, first_page * kReadAlignment,
                              pages * kReadAlignment),
              -1);
  }
  size_t failed() {
    const std::lock_guard lock(mutex_);
    return failed_;
  }
  size_t in_flight() {
    const std::lock_guard lock(mutex_);
    return in_flight_;
  }

 private:
  bool NextRead(ReadKind kind, ReadRequest& request) override {
    EXPECT_FALSE(left_);
    const std::lock_guard lock(mutex_);
    auto& wanted = wanted_[static_cast<size_t>(kind)];
    if (wanted.empty()) return false;
    const uint64_t page = wanted.front();
    wanted.pop_front();
    request = {&file_, page * kReadAlignment, kReadAlignment, memory_.data() + page * kReadAlignment, page};
    ++in_flight_;
    return true;
  }
  void ReadsEnded(std::span<const ReadResult> results) override {
    EXPECT_FALSE(left_);
    const std::lock_guard lock(mutex_);
    for (const ReadResult& result : results) {
      if (result.status.ok()) right_.insert(result.tag);
      failed_ += !result.status.ok();
      --outstanding_;
      --in_flight_;
    }
    ended_.notify_all();
  }

  ReadService& reads_;
  const SourceFile& file_;
  TestMemory memory_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::array<std::deque<uint64_t>, kReadKinds> wanted_;
  std::set<uint64_t> right_;
  size_t outstanding_ = 0, in_flight_ = 0, failed_ = 0;
  std::atomic<bool> left_{false};
};

class ReadServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(WriteTestFile(directory_ / "file", kFileBytes));
    auto file = SourceFile::Open(directory_ / "file");
    ASSERT_TRUE(file.ok()) << file.status().message();
    file_ = std::make_unique<SourceFile>(std::move(*file));
  }

  // With a gate reads end when it is opened.
  void Start(bool gated = false, const std::string& faults = "") {
    reads_ = std::make_unique<ReadService>([=, this](unsigned depth) -> Result<std::unique_ptr<Reader>> {
      auto reader = MakeReader(ReaderKind::kAuto, depth);
      if (reader.ok() && !faults.empty()) *reader = MakeFaultyReader(std::move(*reader), *ParseFaultSpec(faults));
      if (!reader.ok() || !gated) return reader;
      auto gate = std::make_unique<GateReader>(std::move(*reader));
      gate_ = gate.get();
      return std::unique_ptr<Reader>(std::move(gate));
    });
    ASSERT_TRUE(reads_->Start().ok());
  }

  TestDirectory directory_;
  std::unique_ptr<SourceFile> file_;
  std::unique_ptr<ReadService> reads_;
  GateReader* gate_ = nullptr;
};

TEST_F(ReadServiceTest, ReadsWhatSeveralClientsWant) {
  Start();
  PageClient first(*reads_, *file_), second(*reads_, *file_);
  first.Want(ReadKind::kOrder, 0, 300);
  second.Want(ReadKind::kDemand, 100, 200);
  second.Want(ReadKind::kForesight, 400, 50);
  first.AwaitAll();
  second.AwaitAll();
  first.ExpectRight(0, 300);
  second.ExpectRight(100, 200);
  second.ExpectRight(400, 50);
  EXPECT_EQ(reads_->bytes_read(), 550 * kReadAlignment);
  EXPECT_EQ(reads_->reads_failed(), 0u);
}

TEST_F(ReadServiceTest, TheMostUrgentReadsBeginFirst) {
  Start(true);
  constexpr auto kMost = ReadService::kMostInFlight;
  PageClient client(*reads_, *file_);
  client.Want(ReadKind::kForesight, 600, 10);
  EXPECT_EQ(gate_->Begun(kMost[2]).size(), kMost[2]) << "no more of these at once";
  // All of this is known when the gate opens.
  client.Want(ReadKind::kOrder, 300, 20);
  client.Want(ReadKind::kDemand, 0, 40);
  gate_->Open();
  client.AwaitAll();
  const auto begun = gate_->Begun(70);
  for (size_t i = 0; i < 40; ++i)
    EXPECT_LT(begun[kMost[2] + i], 40 * kReadAlignment) << "demands come before all else, " << i;
  for (size_t i = 0; i < 20; ++i)
    EXPECT_LT(begun[kMost[2] + 40 + i], 400 * kReadAlignment) << "then what comes in order, " << i;
}

TEST_F(ReadServiceTest, AClientLeavesWhenItsReadsHaveEnded) {
  Start(true);
  PageClient stays(*reads_, *file_);
  {
    PageClient leaves(*reads_, *file_);
    leaves.Want(ReadKind::kOrder, 0, 100);
    gate_->Begun(1);
    std::thread opener([this] { gate_->Open(); });
    leaves.Leave();
    EXPECT_EQ(leaves.in_flight(), 0u);
    opener.join();
  }
  stays.Want(ReadKind::kDemand, 0, 10);
  stays.AwaitAll();
  stays.ExpectRight(0, 10);
}

TEST_F(ReadServiceTest, AFailedReadReachesItsClientAlone) {
  Start(false, "range=40960-45056,errno=EIO");
  PageClient unlucky(*reads_, *file_), lucky(*reads_, *file_);
  unlucky.Want(ReadKind::kDemand, 0, 20);
  lucky.Want(ReadKind::kDemand, 20, 20);
  unlucky.AwaitAll();
  lucky.AwaitAll();
  EXPECT_EQ(unlucky.failed(), 1u);
  EXPECT_EQ(lucky.failed(), 0u);
  lucky.ExpectRight(20, 20);
  EXPECT_EQ(reads_->reads_failed(), 1u);
  EXPECT_EQ(reads_->reads_retried(), uint64_t{Reader::kReadAttempts - 1});
}

TEST_F(ReadServiceTest, StopsAndStartsAgain) {
  Start(false, "after=3,times=1,errno=EIO");
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(reads_->Start().ok());
    {
      PageClient client(*reads_, *file_);
      client.Want(ReadKind::kOrder, 10 * i, 10);
      client.AwaitAll();
      client.ExpectRight(10 * i, 10);
    }
    reads_->Stop();
    EXPECT_EQ(reads_->bytes_read(), 10 * i * kReadAlignment);
    EXPECT_EQ(reads_->reads_retried(), i) << "each reader had its fault";
  }
}

TEST_F(ReadServiceTest, AReaderThatCannotBeOpenedIsAnError) {
  ReadService refused(
      [](unsigned) -> Result<std::unique_ptr<Reader>> { return Status(Code::kUnsupported, "no reader"); });
  EXPECT_EQ(refused.Start().message(), "no reader");
}

TEST_F(ReadServiceTest, ClientsComeAndGoWhileOthersRead) {
  Start();
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 50; ++i) {
        PageClient client(*reads_, *file_);
        const uint64_t first = random() % 900;
        client.Want(static_cast<ReadKind>(random() % kReadKinds), first, 20);
        if (random() % 4 == 0) continue;  // leaves at once
        client.AwaitAll();
        client.ExpectRight(first, 20);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(ReadServiceSilence, IsSaidOnceWithTheFileAndSoIsItsEnd) {
  TestDirectory directory;
  WriteTestFile(directory / "model", kFileBytes);
  const auto file = SourceFile::Open(directory / "model");
  ASSERT_TRUE(file.ok());
  ::testing::internal::CaptureStderr();
  RememberStandardError();
  {
    const auto open = [](unsigned depth) -> Result<std::unique_ptr<Reader>> {
      auto reader = MakeReader(ReaderKind::kAuto, depth);
      if (!reader.ok()) return reader;
      return MakeFaultyReader(std::move(*reader), ParseFaultSpec("delay_us=1000000").value());
    };
    ReadService reads(open, 1, std::chrono::milliseconds(100));
    ASSERT_TRUE(reads.Start().ok());
    PageClient client(reads, *file);
    client.Want(ReadKind::kDemand, 0, 3);
    client.AwaitAll();
    client.ExpectRight(0, 3);
  }
  const std::string said = ::testing::internal::GetCapturedStderr();
  RememberStandardError();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 2) << said;
  EXPECT_NE(said.find(directory / "model: its drive has not answered"), std::string::npos) << said;
  EXPECT_NE(said.find(directory / "model: its drive answers again"), std::string::npos) << said;
}

}  // namespace
}  // namespace headrace
