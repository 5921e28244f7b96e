#include "io/mirrored_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "base/say.h"
#include "io/faulty_reader.h"
#include "io/mirror_test_util.h"

namespace headrace {
namespace {

// Of reads of files whose path holds a text, all but the first few hang until Land(); then something else than the file
// is written to their memory, as if that were late.
class HangingReader final : public Reader {
 public:
  HangingReader(std::unique_ptr<Reader> base, std::string path, unsigned after)
      : base_(std::move(base)), path_(std::move(path)), after_(after) {}
  std::string_view name() const override { return base_->name(); }
  unsigned depth() const override { return base_->depth(); }
  unsigned in_flight() const override { return base_->in_flight() + static_cast<unsigned>(held_.size()); }
  uint64_t retries() const override { return base_->retries(); }
  void Submit(std::span<const ReadRequest> requests) override {
    for (const ReadRequest& request : requests) {
      if (!landed_ && request.file->path().find(path_) != std::string::npos && begun_++ >= after_) {
        held_.push_back(request);
      } else {
        base_->Submit({&request, 1});
      }
    }
  }
  void CollectFor(Patience patience, std::vector<ReadResult>& results) override {
    if (landed_) {
      for (const ReadRequest& request : held_) {
        std::memset(request.destination, 'x', request.length);
        results.push_back({request.tag, {}});
      }
      held_.clear();
    }
    if (base_->in_flight() > 0) {
      base_->CollectFor(patience, results);
    } else if (results.empty()) {
      std::this_thread::sleep_for(std::min<Patience>(patience, std::chrono::milliseconds(1)));
    }
  }
  void Land() { landed_ = true; }
  size_t hanging() const { return held_.size(); }

 private:
  const std::unique_ptr<Reader> base_;
  const std::string path_;
  const unsigned after_;
  unsigned begun_ = 0;
  std::vector<ReadRequest> held_;
  bool landed_ = false;
};

class MirroredReaderTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kBytes = 9 * Stripes::kBytes + 54'321;
  static constexpr unsigned kDepth = 16;
  static constexpr uint64_t kBuffer = 8 * kMiB / 4;
  static constexpr uint32_t kRead = 128 * kReadAlignment;

  void SetUp() override { WriteTestFile(here_ / "model.gguf", kBytes); }
  // After the copies are there.
  void Open(const std::vector<std::string>& mirrors, size_t copies) {
    auto file = SourceFile::Open(here_ / "model.gguf");
    ASSERT_TRUE(file.ok());
    std::vector<MirrorProblem> problems;
    file->SetCopies(OpenMirrors(*file, mirrors, SourceFile::Access::kDirect, problems));
    ASSERT_EQ(file->copies().size(), copies) << (problems.empty() ? "" : problems[0].Line());
    file_ = std::move(*file);
  }
  void Start(const std::vector<std::string>& faults = {}) {
    auto base = MakeReader(ReaderKind::kAuto, kDepth);
    ASSERT_TRUE(base.ok());
    reader_ = std::move(*base);
    for (const std::string& fault : faults) {
      reader_ = MakeFaultyReader(std::move(reader_), ParseFaultSpec(fault).value());
    }
    reader_ = MakeMirroredReader(std::move(reader_), figures_, {kBuffer, std::chrono::seconds(10)});
  }
  // All reads of a drive hang but the first ones.
  HangingReader& StartHanging(const TestDirectory& drive, unsigned after = 3) {
    auto base = MakeReader(ReaderKind::kAuto, kDepth);
    EXPECT_TRUE(base.ok());
    auto hanging = std::make_unique<HangingReader>(std::move(*base), drive / "", after);
    HangingReader& reader = *hanging;
    reader_ = MakeMirroredReader(std::move(hanging), figures_, {kBuffer, std::chrono::milliseconds(50)});
    return reader;
  }
  // Reads all of the file, in reads that begin anywhere, and compares. The number of reads that failed.
  unsigned ReadAll(const std::function<void()>& half_way = {}) {
    unsigned failed = 0, reads = 0;
    std::vector<ReadResult> results;
    std::vector<std::pair<uint64_t, uint32_t>> ranges;
    std::mt19937 random(7);
    for (uint64_t at = 0; at < kBytes;) {
      const uint32_t bytes = std::min<uint32_t>(kRead, (1 + random() % 128) * kReadAlignment);
      ranges.emplace_back(at, static_cast<uint32_t>(std::min<uint64_t>(bytes, AlignUp(kBytes - at, kReadAlignment))));
      at += bytes;
    }
    TestMemory memory(uint64_t{kDepth} * kRead);
    std::vector<size_t> free;
    for (size_t i = 0; i < kDepth; ++i) free.push_back(i);
    std::vector<size_t> range_in(kDepth);
    for (size_t next = 0; next < ranges.size() || reader_->in_flight() > 0;) {
      if (half_way && next == ranges.size() / 2) half_way();
      while (next < ranges.size() && !free.empty()) {
        const size_t place = free.back();
        free.pop_back();
        range_in[place] = next;
        const ReadRequest request{&file_, ranges[next].first, ranges[next].second, memory.data() + place * kRead,
                                  place};
        reader_->Submit({&request, 1});
        ++next;
        if (half_way && next == ranges.size() / 2) break;
      }
      results.clear();
      reader_->Collect(true, results);
      for (const ReadResult& result : results) {
        ++reads;
        const auto [offset, bytes] = ranges[range_in[result.tag]];
        free.push_back(result.tag);
        failed += result.status.ok() ? 0 : 1;
        error_ = result.status.ok() ? error_ : result.status.message();
        if (!result.status.ok()) continue;
        EXPECT_EQ(
            FirstDifference(memory.data() + result.tag * kRead, offset, std::min<uint64_t>(bytes, kBytes - offset)),
            -1);
      }
    }
    EXPECT_EQ(reads, ranges.size()) << "each read has one result";
    return failed;
  }
  // So that the other one gets most of the reads.
  static std::string Slow(const TestDirectory& drive) { return "delay_us=20000,path=" + (drive / ""); }
  uint64_t FromOriginal() const { return Of(file_.identity().device); }
  uint64_t FromCopy(size_t copy = 0) const { return Of(file_.copies()[copy]->file().identity().device); }

  TestDirectory here_;
  TestDirectory there_{kOtherDrive};
  SourceFile file_;
  DriveTable figures_;
  std::unique_ptr<Reader> reader_;
  std::string error_;

 private:
  uint64_t Of(dev_t device) const {
    for (const DriveFigures& drive : figures_) {
      if (drive.device == device) return drive.bytes_read;
    }
    return 0;
  }
};

TEST_F(MirroredReaderTest, ReadsBothDrives) {
  WriteTestFile(there_ / "model.gguf", kBytes);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  Start();
  EXPECT_EQ(ReadAll(), 0u);
  EXPECT_GT(FromOriginal(), 0u);
  EXPECT_GT(FromCopy(), 0u);
  EXPECT_EQ(FromOriginal() + FromCopy(), AlignUp(kBytes, kReadAlignment));
  EXPECT_EQ(reader_->drives(), 2u);
}

TEST_F(MirroredReaderTest, ASlowDriveGetsLess) {
  WriteTestFile(there_ / "model.gguf", kBytes);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  Start({Slow(there_)});
  EXPECT_EQ(ReadAll(), 0u);
  EXPECT_LT(FromCopy(), FromOriginal());
}

TEST_F(MirroredReaderTest, APartialCopyServesItsStripesOnly) {
  ASSERT_NO_FATAL_FAILURE(Open({}, 0));
  WritePartialCopy(there_ / "model.gguf.part-copy", file_, Stripes::kWhole / 2);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  Start();
  EXPECT_EQ(ReadAll(), 0u);
  EXPECT_GT(FromCopy(), 0u);
  EXPECT_LE(FromCopy(), file_.copies()[0]->stripes().bytes() + kReadAlignment);
}

TEST_F(MirroredReaderTest, WhatFailsOnTheCopyIsReadFromTheOriginal) {
  WriteTestFile(there_ / "model.gguf", kBytes);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  Start({Slow(here_), "after=3,path=" + (there_ / "")});
  ::testing::internal::CaptureStderr();
  RememberStandardError();
  EXPECT_EQ(ReadAll(), 0u);
  const std::string said = ::testing::internal::GetCapturedStderr();
  RememberStandardError();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_NE(said.find("this drive fails"), std::string::npos) << said;
  EXPECT_NE(said.find("Input/output error"), std::string::npos) << said;
  EXPECT_EQ(reader_->drives(), 1u);
}

TEST_F(MirroredReaderTest, WhatFailsOnTheOriginalIsReadFromTheCopy) {
  WriteTestFile(there_ / "model.gguf", kBytes);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  Start({Slow(there_), "after=3,path=" + (here_ / "")});
  EXPECT_EQ(ReadAll(), 0u);
}

TEST_F(MirroredReaderTest, FailsWhenAllFailWithTheOriginalsError) {
  WriteTestFile(there_ / "model.gguf", kBytes);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  Start({"errno=EIO"});
  EXPECT_GT(ReadAll(), 0u);
  EXPECT_NE(error_.find(here_ / "model.gguf"), std::string::npos) << error_;
}

TEST_F(MirroredReaderTest, ACopyThatChangesIsLeftAlone) {
  WriteTestFile(there_ / "model.gguf", kBytes);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  Start({Slow(here_)});
  ::testing::internal::CaptureStderr();
  RememberStandardError();
  EXPECT_EQ(ReadAll([&] { std::ofstream(there_ / "model.gguf", std::ios::binary) << std::string(kBytes, 'x'); }), 0u);
  const std::string said = ::testing::internal::GetCapturedStderr();
  RememberStandardError();
  EXPECT_NE(said.find("changed while in use"), std::string::npos) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_TRUE(file_.copies()[0]->retired());
}

TEST_F(MirroredReaderTest, WhatHangsOnTheCopyIsReadFromTheOriginal) {
  WriteTestFile(there_ / "model.gguf", kBytes);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  HangingReader& hanging = StartHanging(there_);
  ::testing::internal::CaptureStderr();
  RememberStandardError();
  EXPECT_EQ(ReadAll(), 0u);
  const size_t held = hanging.hanging();
  EXPECT_GT(held, 0u);
  EXPECT_EQ(ReadAll(), 0u);
  EXPECT_EQ(hanging.hanging(), held) << "a silent drive is asked for nothing more";
  EXPECT_EQ(reader_->drives(), 1u);
  const std::string said = ::testing::internal::GetCapturedStderr();
  RememberStandardError();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_NE(said.find(there_ / "model.gguf"), std::string::npos) << said;
  EXPECT_NE(said.find("this drive is silent"), std::string::npos) << said;
}

TEST_F(MirroredReaderTest, WhatHangsOnTheOriginalIsReadFromTheCopy) {
  WriteTestFile(there_ / "model.gguf", kBytes);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  StartHanging(here_);
  EXPECT_EQ(ReadAll(), 0u);
  EXPECT_EQ(ReadAll(), 0u);
}

// What comes late from a drive that hung goes to memory that nobody else has.
TEST_F(MirroredReaderTest, WhatComesLateChangesNothing) {
  WriteTestFile(there_ / "model.gguf", kBytes);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  HangingReader& hanging = StartHanging(there_, 0);
  constexpr size_t kReads = 8;
  TestMemory memory(kReads * kRead), more(kRead);
  std::vector<ReadResult> results;
  for (size_t i = 0; i < kReads; ++i) {
    const ReadRequest request{&file_, i * kRead, kRead, memory.data() + i * kRead, i};
    reader_->Submit({&request, 1});
  }
  while (results.size() < kReads) reader_->Collect(true, results);
  for (const ReadResult& result : results) EXPECT_TRUE(result.status.ok()) << result.status.message();
  ASSERT_GT(hanging.hanging(), 0u);
  hanging.Land();
  const ReadRequest another{&file_, 0, kRead, more.data(), kReads};
  reader_->Submit({&another, 1});
  while (results.size() <= kReads) reader_->Collect(true, results);
  ASSERT_EQ(hanging.hanging(), 0u);
  EXPECT_EQ(FirstDifference(memory.data(), 0, kReads * kRead), -1);
  EXPECT_EQ(FirstDifference(more.data(), 0, kRead), -1);
  EXPECT_EQ(ReadAll(), 0u) << "its places in the buffer are given back";
}

// The kernel may still write to the buffers: they stay when the reader goes, which does not wait.
TEST_F(MirroredReaderTest, GoesWhileADriveHangs) {
  WriteTestFile(there_ / "model.gguf", kBytes);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  HangingReader& hanging = StartHanging(there_);
  EXPECT_EQ(ReadAll(), 0u);
  const size_t held = hanging.hanging();
  ASSERT_GT(held, 0u);
  reader_.reset();
  hanging.Land();
  std::vector<ReadResult> results;
  hanging.CollectFor(kNoWait, results);  // writes to the buffers
  EXPECT_EQ(results.size(), held);
}

// What only the drive holds that hangs is waited for.
TEST_F(MirroredReaderTest, WaitsForWhatNoOtherDriveHolds) {
  ASSERT_NO_FATAL_FAILURE(Open({}, 0));
  WritePartialCopy(there_ / "model.gguf.part-copy", file_, Stripes::kWhole / 2);
  ASSERT_NO_FATAL_FAILURE(Open({there_ / ""}, 1));
  HangingReader& hanging = StartHanging(here_);
  uint64_t at = 0;
  while (file_.copies()[0]->stripes().Holds(at)) at += Stripes::kBytes;
  TestMemory memory(8 * kReadAlignment);
  std::vector<ReadResult> results;
  for (unsigned i = 0; i < 4; ++i) {
    const ReadRequest request{&file_, at, kReadAlignment, memory.data() + i * kReadAlignment, i};
    reader_->Submit({&request, 1});
  }
  while (results.size() < 3) reader_->Collect(true, results);
  reader_->CollectFor(std::chrono::milliseconds(200), results);
  EXPECT_EQ(results.size(), 3u);
  EXPECT_EQ(hanging.hanging(), 1u);
  hanging.Land();
  reader_->Collect(true, results);
  EXPECT_EQ(results.size(), 4u);
}

}  // namespace
}  // namespace headrace
