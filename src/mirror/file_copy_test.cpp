#include "mirror/file_copy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/size.h"
#include "io/mirror_test_util.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

class FileCopyTest : public TwoDrivesTest {
 protected:
  static constexpr uint64_t kBytes = 7 * Stripes::kBytes + 54'321;

  void SetUp() override { WriteOriginal(kBytes); }
  static std::string Content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  size_t FilesThere() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(there_ / ""), fs::directory_iterator()));
  }

  uint64_t done_ = 0, was_there_ = 0;
  const OnBytes there_too_ = [this](uint64_t bytes) {
    was_there_ += bytes;
    return true;
  };
  const OnBytes none_there_ = [](uint64_t bytes) {
    ADD_FAILURE() << bytes << " bytes were there";
    return true;
  };
  const OnBytes count_ = [this](uint64_t bytes) {
    done_ += bytes;
    return true;
  };
};

TEST_F(FileCopyTest, AWholeCopyIsTheSameFile) {
  const std::string path = CopyPath(there_ / "", original_, Stripes::kWhole);
  ASSERT_TRUE(CopyFile(original_, path, Stripes::kWhole, none_there_, count_).ok());
  EXPECT_EQ(done_, kBytes);
  EXPECT_EQ(fs::path(path).filename(), "model.gguf");
  EXPECT_EQ(fs::file_size(path), CopyBytes(original_, Stripes::kWhole));
  EXPECT_TRUE(Content(path) == Content(here_ / "model.gguf"));
  EXPECT_TRUE(CompareCopy(original_, path, count_).ok());
  EXPECT_EQ(FilesThere(), 1u);
}

TEST_F(FileCopyTest, APartIsWhatAMirrorReads) {
  for (const uint64_t share : {Stripes::kWhole / 3, Stripes::kWhole - 1}) {
    done_ = 0;
    const std::string path = CopyPath(there_ / "", original_, share);
    ASSERT_TRUE(CopyFile(original_, path, share, none_there_, count_).ok());
    WritePartialCopy(there_ / "expected", original_, share);
    EXPECT_TRUE(Content(path) == Content(there_ / "expected"));
    EXPECT_EQ(fs::file_size(path), CopyBytes(original_, share));
    EXPECT_EQ(done_ + kReadAlignment, CopyBytes(original_, share));
    EXPECT_TRUE(CompareCopy(original_, path, count_).ok());
  }
}

TEST_F(FileCopyTest, ComparesEveryByte) {
  const std::string path = there_ / "model.gguf";
  ASSERT_TRUE(CopyFile(original_, path, Stripes::kWhole, none_there_, count_).ok());
  constexpr uint64_t kAt = 3 * Stripes::kBytes + 77'777;  // between samples
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(kAt).put(static_cast<char>(~static_cast<int>(ByteAt(kAt))));
  file.close();
  const Status status = CompareCopy(original_, path, count_);
  EXPECT_EQ(status.code(), Code::kCorrupt);
  EXPECT_NE(status.message().find("at byte " + std::to_string(kAt)), std::string::npos) << status.message();
}

// After so many calls.
OnBytes StopAfter(unsigned calls) {
  return [left = calls](uint64_t) mutable { return --left > 0; };
}

TEST_F(FileCopyTest, GoesOnWithWhatIsThereAndRight) {
  for (const uint64_t share : {Stripes::kWhole, Stripes::kWhole / 2}) {
    const std::string path = CopyPath(there_ / "", original_, share);
    EXPECT_EQ(CopyFile(original_, path, share, none_there_, StopAfter(2)).code(), Code::kCancelled);
    EXPECT_FALSE(fs::exists(path)) << "an unfinished copy has another name";
    const uint64_t begun = UnfinishedBytes(path);
    ASSERT_GT(begun, kReadAlignment);
    ASSERT_LT(begun, CopyBytes(original_, share));
    std::ofstream(path + kUnfinishedCopy, std::ios::app) << "torn by a crash";
    done_ = 0;
    ASSERT_TRUE(CopyFile(original_, path, share, there_too_, count_).ok());
    EXPECT_EQ(was_there_ + done_, Stripes(kBytes, share).bytes());
    EXPECT_EQ(was_there_, begun - (share == Stripes::kWhole ? 0 : kReadAlignment)) << "copied once, not twice";
    EXPECT_EQ(fs::file_size(path), CopyBytes(original_, share));
    EXPECT_TRUE(CompareCopy(original_, path, count_).ok());
    EXPECT_EQ(UnfinishedBytes(path), 0u);
    fs::remove(path);
    was_there_ = 0;
  }
}

TEST_F(FileCopyTest, TrustsNothingOfWhatIsThere) {
  const std::string path = there_ / "model.gguf";
  EXPECT_EQ(CopyFile(original_, path, Stripes::kWhole, none_there_, StopAfter(3)).code(), Code::kCancelled);
  std::fstream(path + kUnfinishedCopy, std::ios::in | std::ios::out | std::ios::binary).seekp(5'000'000).put('!');
  ASSERT_TRUE(CopyFile(original_, path, Stripes::kWhole, there_too_, count_).ok());
  EXPECT_EQ(was_there_, 4 * kMiB) << "the first piece";
  EXPECT_TRUE(Content(path) == Content(here_ / "model.gguf"));
}

TEST_F(FileCopyTest, AnotherShareOrAnotherOriginalBeginsAnew) {
  const std::string path = CopyPath(there_ / "", original_, 1);
  EXPECT_EQ(CopyFile(original_, path, Stripes::kWhole / 2, none_there_, StopAfter(2)).code(), Code::kCancelled);
  ASSERT_TRUE(CopyFile(original_, path, Stripes::kWhole / 3, none_there_, count_).ok());
  EXPECT_TRUE(CompareCopy(original_, path, count_).ok());
  const std::string whole = there_ / "model.gguf";
  std::ofstream(whole + kUnfinishedCopy) << std::string(2 * kBytes, 'x');  // longer than the copy
  ASSERT_TRUE(CopyFile(original_, whole, Stripes::kWhole, none_there_, count_).ok());
  EXPECT_TRUE(Content(whole) == Content(here_ / "model.gguf"));
}

TEST_F(FileCopyTest, TwoAtOnceDoNotMeet) {
  const std::string path = there_ / "model.gguf";
  Status second;
  const auto begin_another = [&](uint64_t) {
    second = CopyFile(original_, path, Stripes::kWhole, none_there_, count_);
    return true;
  };
  EXPECT_TRUE(CopyFile(original_, path, Stripes::kWhole, none_there_, begin_another).ok());
  EXPECT_EQ(second.code(), Code::kInvalidArgument);
  EXPECT_NE(second.message().find("another headrace mirror"), std::string::npos) << second.message();
  EXPECT_TRUE(Content(path) == Content(here_ / "model.gguf"));
}

TEST_F(FileCopyTest, LeavesNothingOfAnOriginalThatChanges) {
  const std::string path = there_ / "model.gguf";
  const auto change = [this](uint64_t) {
    std::ofstream(here_ / "model.gguf", std::ios::app) << "more";
    return true;
  };
  EXPECT_EQ(CopyFile(original_, path, Stripes::kWhole, none_there_, change).code(), Code::kChanged);
  EXPECT_EQ(FilesThere(), 0u);
  EXPECT_FALSE(CopyFile(original_, there_ / "absent/model.gguf", Stripes::kWhole, none_there_, count_).ok());
}

}  // namespace
}  // namespace headrace::cli
