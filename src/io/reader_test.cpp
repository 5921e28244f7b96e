// The contract of Reader, for every implementation.
#include "io/reader.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <thread>

#include "io/faulty_reader.h"
#include "io/io_test_util.h"

namespace headrace {
namespace {

constexpr uint64_t kFileBytes = 6 * kMiB + 1234;
constexpr unsigned kDepth = 16;

struct Variant {
  const char* name;
  ReaderKind kind;
  SourceFile::Access access;
  const char* fault = nullptr;  // one that the contract hides
};

class ReaderTest : public ::testing::TestWithParam<Variant> {
 protected:
  static void SetUpTestSuite() {
    directory_.emplace();
    WriteTestFile(Path(), kFileBytes);
  }
  static void TearDownTestSuite() { directory_.reset(); }
  static std::string Path(const std::string& name = "weights") { return *directory_ / name; }

  void SetUp() override {
    auto reader = MakeReader(GetParam().kind, kDepth);
    if (!reader.ok() && reader.status().code() == Code::kUnsupported) GTEST_SKIP() << reader.status().message();
    ASSERT_TRUE(reader.ok()) << reader.status().message();
    reader_ = std::move(reader).value();
    if (GetParam().fault != nullptr) reader_ = MakeFaultyReader(std::move(reader_), *ParseFaultSpec(GetParam().fault));
    Open(Path());
    if (!IsSkipped() && file_.direct() != (GetParam().access == SourceFile::Access::kDirect)) {
      GTEST_SKIP() << "no direct reads in the working directory";
    }
  }

  void Open(const std::string& path) {
    auto file = SourceFile::Open(path, GetParam().access);
    ASSERT_TRUE(file.ok()) << file.status().message();
    file_ = std::move(file).value();
  }

  std::vector<ReadResult> Read(const std::vector<ReadRequest>& requests) {
    reader_->Submit(requests);
    std::vector<ReadResult> results;
    while (reader_->in_flight() > 0) {
      const size_t before = results.size();
      reader_->Collect(true, results);
      EXPECT_GT(results.size(), before);
      if (results.size() == before) break;
    }
    return results;
  }
  Status ReadOne(uint64_t offset, uint32_t length, std::byte* destination) {
    const auto results = Read({{&file_, offset, length, destination, 77}});
    EXPECT_EQ(results.size(), 1u);
    EXPECT_EQ(results.at(0).tag, 77u);
    return results.at(0).status;
  }

  static inline std::optional<TestDirectory> directory_;
  SourceFile file_;
  TestMemory memory_{16 * kMiB};
  std::unique_ptr<Reader> reader_;
};

TEST_P(ReaderTest, RandomRangesHoldTheContentsOfTheFile) {
  std::mt19937_64 random(1);
  const uint64_t slot_bytes = kMiB;
  std::vector<ReadRequest> by_tag;
  std::vector<unsigned> free_slots(kDepth);
  for (unsigned i = 0; i < kDepth; ++i) free_slots[i] = i;
  std::vector<ReadResult> results;
  size_t finished = 0;
  while (finished < 300) {
    std::vector<ReadRequest> batch;
    while (!free_slots.empty() && by_tag.size() < 300) {
      const uint64_t offset = AlignDown(random() % kFileBytes, kReadAlignment);
      const auto length = static_cast<uint32_t>((1 + random() % (slot_bytes / kReadAlignment)) * kReadAlignment);
      batch.push_back({&file_, offset, length, memory_.data() + free_slots.back() * slot_bytes, by_tag.size()});
      by_tag.push_back(batch.back());
      free_slots.pop_back();
    }
    reader_->Submit(batch);
    EXPECT_LE(reader_->in_flight(), reader_->depth());
    results.clear();
    reader_->Collect(random() % 2 == 0, results);
    for (const ReadResult& result : results) {
      ASSERT_TRUE(result.status.ok()) << result.status.message();
      const ReadRequest& request = by_tag.at(result.tag);
      const uint64_t wanted = std::min<uint64_t>(request.length, kFileBytes - request.offset);
      auto* const data = static_cast<std::byte*>(request.destination);
      ASSERT_EQ(FirstDifference(data, request.offset, wanted), -1) << request.offset << " " << request.length;
      std::memset(data, 0xee, wanted);
      free_slots.push_back(static_cast<unsigned>((data - memory_.data()) / slot_bytes));
    }
    finished += results.size();
  }
  EXPECT_EQ(reader_->in_flight(), 0u);
}

TEST_P(ReaderTest, TheLastPageMayReachBeyondTheEnd) {
  const uint64_t last = AlignDown(kFileBytes, kReadAlignment);
  std::memset(memory_.data(), 0xee, 8 * kReadAlignment);
  ASSERT_TRUE(ReadOne(last, kReadAlignment, memory_.data()).ok());
  EXPECT_EQ(FirstDifference(memory_.data(), last, kFileBytes - last), -1);
  EXPECT_EQ(memory_.data()[kReadAlignment], std::byte{0xee});
  ASSERT_TRUE(ReadOne(last - 2 * kReadAlignment, 8 * kReadAlignment, memory_.data()).ok());
  EXPECT_EQ(FirstDifference(memory_.data(), last - 2 * kReadAlignment, kFileBytes - last + 2 * kReadAlignment), -1);
}

TEST_P(ReaderTest, AsManyAsTheDepthAtOnceAndNoMore) {
  EXPECT_EQ(reader_->depth(), kDepth);
  std::vector<ReadRequest> requests;
  for (unsigned i = 0; i < kDepth + 2; ++i) {
    requests.push_back({&file_, i * 64 * kKiB, 64 * kKiB, memory_.data() + i * 64 * kKiB, i});
  }
  const auto results = Read(requests);
  ASSERT_EQ(results.size(), kDepth + 2);
  for (const ReadResult& result : results) {
    EXPECT_EQ(result.status.code(), result.tag < kDepth ? Code::kOk : Code::kInvalidArgument);
    if (!result.status.ok()) continue;
    EXPECT_EQ(FirstDifference(memory_.data() + result.tag * 64 * kKiB, result.tag * 64 * kKiB, 64 * kKiB), -1);
  }
}

TEST_P(ReaderTest, NothingInFlightNeverBlocks) {
  std::vector<ReadResult> results;
  reader_->Collect(true, results);
  reader_->Collect(false, results);
  reader_->Submit({});
  EXPECT_TRUE(results.empty());
}

TEST_P(ReaderTest, RequestsThatBreakTheRulesFailAlone) {
  const auto results = Read({{&file_, 1, kReadAlignment, memory_.data(), 0},
                             {&file_, AlignUp(kFileBytes, kReadAlignment), kReadAlignment, memory_.data(), 1},
                             {nullptr, 0, kReadAlignment, memory_.data(), 2},
                             {&file_, 0, kReadAlignment, memory_.data(), 3}});
  ASSERT_EQ(results.size(), 4u);
  for (const ReadResult& result : results) {
    EXPECT_EQ(result.status.code(), result.tag == 3 ? Code::kOk : Code::kInvalidArgument);
  }
}

TEST_P(ReaderTest, APermanentErrorIsReportedAfterTryingAgain) {
  const TestMemory forbidden(kMiB, PROT_NONE);
  const Status status = ReadOne(8192, 64 * kKiB, forbidden.data());
  EXPECT_EQ(status.code(), Code::kIo);
  for (const std::string& part : {Path(), std::string(" at 8192"), std::string("Bad address")}) {
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  }
  // A decorator may have cut the request.
  if (GetParam().fault == nullptr) {
    EXPECT_NE(status.message().find("65536 bytes"), std::string::npos);
  }
  EXPECT_GE(reader_->retries(), uint64_t{Reader::kReadAttempts - 1});
  EXPECT_TRUE(ReadOne(8192, 64 * kKiB, memory_.data()).ok());
}

TEST_P(ReaderTest, AFileThatBecameShorterIsAnError) {
  WriteTestFile(Path("shrinking"), kMiB);
  Open(Path("shrinking"));
  std::filesystem::resize_file(Path("shrinking"), 300 * kKiB + 5);
  EXPECT_TRUE(ReadOne(0, 256 * kKiB, memory_.data()).ok());
  for (const uint64_t offset : {256 * kKiB, 300 * kKiB, 304 * kKiB, 512 * kKiB}) {
    const Status status = ReadOne(offset, 256 * kKiB, memory_.data());
    EXPECT_EQ(status.code(), Code::kIo) << offset;
    EXPECT_NE(status.message().find("became shorter"), std::string::npos) << status.message();
  }
}

TEST_P(ReaderTest, ADeletedFileStaysReadable) {
  WriteTestFile(Path("deleted"), kMiB);
  Open(Path("deleted"));
  std::filesystem::remove(Path("deleted"));
  ASSERT_TRUE(ReadOne(0, kMiB, memory_.data()).ok());
  EXPECT_EQ(FirstDifference(memory_.data(), 0, kMiB), -1);
}

TEST_P(ReaderTest, TheDestructorWaitsForRequestsInFlight) {
  for (int round = 0; round < 5; ++round) {
    if (reader_ == nullptr) SetUp();
    std::vector<ReadRequest> requests;
    for (unsigned i = 0; i < kDepth; ++i)
      requests.push_back({&file_, i * 256 * kKiB, kMiB, memory_.data() + i * kMiB, i});
    reader_->Submit(requests);
    reader_.reset();
    std::memset(memory_.data(), 0xee, 16 * kMiB);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (uint64_t i = 0; i < 16 * kMiB; i += 512) ASSERT_EQ(memory_.data()[i], std::byte{0xee});
  }
}

TEST_P(ReaderTest, AForkedChildFailsAndLeavesTheParentsRequestsAlone) {
  std::vector<ReadRequest> requests;
  for (unsigned i = 0; i < kDepth - 1; ++i)
    requests.push_back({&file_, i * 256 * kKiB, kMiB, memory_.data() + i * kMiB, i});
  reader_->Submit(requests);
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<ReadResult> results;
    reader_->Submit({requests.data(), 1});
    while (reader_->in_flight() > 0) reader_->Collect(true, results);
    bool all_failed = results.size() == kDepth;
    for (const ReadResult& result : results) all_failed &= result.status.code() == Code::kUnsupported;
    reader_.reset();
    ::_exit(all_failed ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::vector<ReadResult> results;
  while (reader_->in_flight() > 0) reader_->Collect(true, results);
  ASSERT_EQ(results.size(), requests.size());
  for (const ReadResult& result : results) {
    EXPECT_TRUE(result.status.ok()) << result.status.message();
    EXPECT_EQ(FirstDifference(memory_.data() + result.tag * kMiB, result.tag * 256 * kKiB, kMiB), -1);
  }
}

TEST_P(ReaderTest, ReadsLeaveNoPageCacheBehind) {
  WriteTestFile(Path("cached"), 4 * kMiB);
  Open(Path("cached"));
  for (uint64_t offset = 0; offset < 4 * kMiB; offset += 256 * kKiB) {
    ASSERT_TRUE(ReadOne(offset, 256 * kKiB, memory_.data()).ok());
  }
  void* const mapped = ::mmap(nullptr, 4 * kMiB, PROT_READ, MAP_SHARED, file_.fd(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  std::vector<unsigned char> resident(4 * kMiB / kReadAlignment);
  ASSERT_EQ(::mincore(mapped, 4 * kMiB, resident.data()), 0);
  EXPECT_LE(std::count_if(resident.begin(), resident.end(), [](unsigned char c) { return (c & 1) != 0; }), 32);
  ::munmap(mapped, 4 * kMiB);
}

// A host that closes all descriptors closes the ring's too.
TEST(UringReader, WithoutItsDescriptorNothingIsReportedBeforeTheKernelIsThrough) {
  const TestDirectory directory;
  WriteTestFile(directory / "file", 16 * kMiB);
  auto file = SourceFile::Open(directory / "file");
  ASSERT_TRUE(file.ok());
  auto reader = MakeReader(ReaderKind::kUring, 16);
  if (!reader.ok()) GTEST_SKIP() << reader.status().message();
  int ring = -1;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (std::filesystem::read_symlink(entry, error).string().find("[io_uring]") != std::string::npos)
      ring = std::stoi(entry.path().filename());
  }
  ASSERT_GE(ring, 0);
  const std::unique_ptr<std::byte, decltype(&std::free)> memory(
      static_cast<std::byte*>(std::aligned_alloc(kReadAlignment, 16 * kMiB)), &std::free);
  std::vector<ReadRequest> requests;
  for (unsigned i = 0; i < 16; ++i) requests.push_back({&*file, i * kMiB, kMiB, memory.get() + i * kMiB, i});
  (*reader)->Submit(requests);
  ASSERT_EQ(::close(ring), 0);
  std::vector<ReadResult> results;
  while ((*reader)->in_flight() > 0) (*reader)->Collect(true, results);
  ASSERT_EQ(results.size(), 16u);
  std::memset(memory.get(), 0xee, 16 * kMiB);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  for (uint64_t i = 0; i < 16 * kMiB; i += 512) ASSERT_EQ(memory.get()[i], std::byte{0xee}) << "a read came late";
  (*reader)->Submit({requests.data(), 1});
  (*reader)->Collect(true, results);
  EXPECT_EQ(results.back().status.code(), Code::kIo);
}

constexpr auto kDirect = SourceFile::Access::kDirect;
constexpr auto kBuffered = SourceFile::Access::kBuffered;
INSTANTIATE_TEST_SUITE_P(Readers, ReaderTest,
                         ::testing::Values(Variant{"Uring", ReaderKind::kUring, kDirect},
                                           Variant{"UringBuffered", ReaderKind::kUring, kBuffered},
                                           Variant{"Pread", ReaderKind::kPread, kDirect},
                                           Variant{"PreadBuffered", ReaderKind::kPread, kBuffered},
                                           Variant{"Faultless", ReaderKind::kAuto, kDirect, "times=0"},
                                           Variant{"Interrupted", ReaderKind::kUring, kDirect, "times=500,errno=EINTR"},
                                           Variant{"Short", ReaderKind::kUring, kDirect, "short=20000"},
                                           Variant{"Late", ReaderKind::kPread, kDirect, "delay_us=200"},
                                           Variant{"DirectRefusedLater", ReaderKind::kUring, kDirect,
                                                   "after=1,direct=1,errno=EINVAL"},
                                           Variant{"OutOfOrder", ReaderKind::kUring, kDirect, "reorder=1"}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace headrace
