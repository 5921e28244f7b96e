#include "io/mirror_copy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "io/mirror_test_util.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

TEST(Stripes, AreSpreadEvenlyAndLieOneAfterTheOther) {
  const uint64_t file = 101 * Stripes::kBytes + 12'345;
  for (const uint64_t share : {uint64_t{1}, Stripes::kWhole / 10, Stripes::kWhole / 2, Stripes::kWhole - 1}) {
    const Stripes stripes(file, share);
    uint64_t held = 0;  // a naive count
    for (uint64_t stripe = 0; stripe <= 101; ++stripe) {
      const uint64_t begin = stripe * Stripes::kBytes, bytes = std::min(Stripes::kBytes, file - begin);
      EXPECT_NEAR(static_cast<double>(held) / Stripes::kBytes,
                  static_cast<double>(stripe) * static_cast<double>(share) / Stripes::kWhole, 1.0);
      if (!stripes.Holds(begin)) continue;
      EXPECT_EQ(stripes.Position(begin), held);
      EXPECT_EQ(stripes.Position(begin + bytes - 1), held + bytes - 1);
      held += bytes;
    }
    EXPECT_EQ(stripes.bytes(), held);
  }
  EXPECT_EQ(Stripes().RunEnd(5), UINT64_MAX);
  const Stripes half(file, Stripes::kWhole / 2);
  EXPECT_EQ(half.RunEnd(0), Stripes::kBytes);
  EXPECT_EQ(half.RunEnd(Stripes::kBytes + 7), 2 * Stripes::kBytes);
  EXPECT_EQ(half.RunEnd(101 * Stripes::kBytes), UINT64_MAX);
}

class MirrorCopyTest : public TwoDrivesTest {
 protected:
  static constexpr uint64_t kBytes = 5 * Stripes::kBytes + 54'321;

  void SetUp() override { WriteOriginal(kBytes); }
  // The notes, and the number of copies that were found.
  std::string Notes(const std::vector<std::string>& mirrors, size_t copies) {
    std::vector<MirrorProblem> problems;
    EXPECT_EQ(OpenMirrors(original_, mirrors, SourceFile::Access::kDirect, problems).size(), copies);
    std::string all;
    for (const MirrorProblem& problem : problems) all += problem.Line() + "\n";
    return all;
  }
};

TEST_F(MirrorCopyTest, FindsCopiesByNameAndBySize) {
  EXPECT_NE(Notes({there_ / ""}, 0).find("holds no copy of model.gguf"), std::string::npos);
  WriteTestFile(there_ / "model.gguf.copying", kBytes / 2);
  EXPECT_NE(Notes({there_ / ""}, 0).find("its copy of model.gguf is not finished"), std::string::npos);
  WriteTestFile(there_ / "another name", kBytes);
  EXPECT_EQ(Notes({there_ / ""}, 1), "");
  EXPECT_EQ(Notes({there_ / "another name"}, 1), "");
  WriteTestFile(there_ / "of another model", kBytes / 2);
  EXPECT_EQ(Notes({there_ / "of another model"}, 0), "") << "it is none of this model's business";
}

TEST_F(MirrorCopyTest, RefusesWhatDiffers) {
  const std::string path = there_ / "model.gguf";
  WriteTestFile(path, kBytes - 1);
  EXPECT_NE(Notes({path}, 0).find("has 10540080 bytes where a copy of"), std::string::npos) << Notes({path}, 0);
  for (const uint64_t at : {uint64_t{0}, uint64_t{200'000}, kBytes - 1}) {
    WriteTestFile(path, kBytes);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(~static_cast<int>(ByteAt(at))));
    file.close();
    EXPECT_NE(Notes({there_ / ""}, 0).find("differs from"), std::string::npos) << at;
  }
}

TEST_F(MirrorCopyTest, TellsDrivesApart) {
  WriteTestFile(here_ / "copy", kBytes);
  EXPECT_NE(Notes({here_ / "copy"}, 0).find("same drive"), std::string::npos);
  EXPECT_NE(Notes({here_ / "model.gguf"}, 0).find("the model itself"), std::string::npos);
  WriteTestFile(there_ / "model.gguf", kBytes);
  EXPECT_NE(Notes({there_ / "", there_ / "model.gguf"}, 1).find("same drive"), std::string::npos);
}

TEST_F(MirrorCopyTest, OpensPartialCopiesOfThisFileOnly) {
  const std::string path = there_ / "model.gguf.part-copy";
  WritePartialCopy(path, original_, Stripes::kWhole / 2);
  EXPECT_EQ(Notes({there_ / ""}, 1), "");
  EXPECT_EQ(Notes({path}, 1), "");
  fs::resize_file(path, fs::file_size(path) - 1);
  EXPECT_NE(Notes({path}, 0).find("bytes where"), std::string::npos);
  fs::resize_file(path, 50);
  EXPECT_NE(Notes({path}, 0).find("damaged"), std::string::npos);
  // Of a file of another content.
  WriteTestFile(here_ / "other", kBytes);
  std::fstream(here_ / "other", std::ios::in | std::ios::out | std::ios::binary).put('!');
  WritePartialCopy(path, *SourceFile::Open(here_ / "other"), Stripes::kWhole / 2);
  EXPECT_NE(Notes({path}, 0).find("copy of another file"), std::string::npos);
}

TEST(PartialHeader, RefusesAnythingElse) {
  PartialHeader header{123, 456, 7};
  const std::string page = header.ToPage();
  ASSERT_EQ(page.size(), kReadAlignment);
  const auto parsed = PartialHeader::Parse(page);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->file_bytes, 123u);
  EXPECT_EQ(parsed->fingerprint, 456u);
  EXPECT_EQ(parsed->share, 7u);
  for (size_t length = 0; length < page.find('\0'); ++length)
    EXPECT_FALSE(PartialHeader::Parse(page.substr(0, length)).ok());
  header.share = Stripes::kWhole + 1;
  EXPECT_FALSE(PartialHeader::Parse(header.ToPage()).ok());
}

}  // namespace
}  // namespace headrace
