#include "mirror/file_copy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

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

  uint64_t done_ = 0;
  const OnBytes count_ = [this](uint64_t bytes) {
    done_ += bytes;
    return true;
  };
};

TEST_F(FileCopyTest, AWholeCopyIsTheSameFile) {
  const std::string path = CopyPath(there_ / "", original_, Stripes::kWhole);
  ASSERT_TRUE(CopyFile(original_, path, Stripes::kWhole, count_).ok());
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
    ASSERT_TRUE(CopyFile(original_, path, share, count_).ok());
    WritePartialCopy(there_ / "expected", original_, share);
    EXPECT_TRUE(Content(path) == Content(there_ / "expected"));
    EXPECT_EQ(fs::file_size(path), CopyBytes(original_, share));
    EXPECT_EQ(done_ + kReadAlignment, CopyBytes(original_, share));
    EXPECT_TRUE(CompareCopy(original_, path, count_).ok());
  }
}

TEST_F(FileCopyTest, ComparesEveryByte) {
  const std::string path = there_ / "model.gguf";
  ASSERT_TRUE(CopyFile(original_, path, Stripes::kWhole, count_).ok());
  constexpr uint64_t kAt = 3 * Stripes::kBytes + 77'777;  // between samples
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(kAt).put(static_cast<char>(~static_cast<int>(ByteAt(kAt))));
  file.close();
  const Status status = CompareCopy(original_, path, count_);
  EXPECT_EQ(status.code(), Code::kCorrupt);
  EXPECT_NE(status.message().find("at byte " + std::to_string(kAt)), std::string::npos) << status.message();
}

TEST_F(FileCopyTest, LeavesNothingWhenStoppedOrFailed) {
  const std::string path = there_ / "model.gguf";
  EXPECT_EQ(CopyFile(original_, path, Stripes::kWhole, [](uint64_t) { return false; }).code(), Code::kCancelled);
  EXPECT_EQ(FilesThere(), 0u);
  // The original is written to meanwhile.
  const auto change = [this](uint64_t) {
    std::ofstream(here_ / "model.gguf", std::ios::app) << "more";
    return true;
  };
  EXPECT_EQ(CopyFile(original_, path, Stripes::kWhole, change).code(), Code::kChanged);
  EXPECT_EQ(FilesThere(), 0u);
  EXPECT_FALSE(CopyFile(original_, there_ / "absent/model.gguf", Stripes::kWhole, count_).ok());
}

}  // namespace
}  // namespace headrace::cli
