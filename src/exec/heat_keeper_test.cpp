#include "exec/heat_keeper.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "base/size.h"
#include "base/small_file.h"
#include "io/io_test_util.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// One layer of eight experts in a real file, and a cache with room for `slots` of them.
class HeatKeeperTest : public ::testing::Test {
 protected:
  void SetUp() override { file_ = Open("model", 4 * kMiB); }

  std::unique_ptr<SourceFile> Open(const std::string& name, uint64_t bytes) {
    WriteTestFile(directory_ / name, bytes);
    auto file = SourceFile::Open(directory_ / name);
    EXPECT_TRUE(file.ok());
    return std::make_unique<SourceFile>(std::move(*file));
  }

  std::unique_ptr<ExpertCache> Cache(const SourceFile* file, uint64_t slots) {
    const std::vector<ExpertLayout> layers = {{{{file, 64 * kKiB, 64 * kKiB}}, 8}};
    EXPECT_TRUE(reads_.Start().ok());
    auto cache = ExpertCache::Start(reads_, layers, slots * 64 * kKiB);
    EXPECT_TRUE(cache.ok()) << cache.status().message();
    return std::move(*cache);
  }

  // A run that uses expert 5 most, then 2, then 7.
  std::unique_ptr<ExpertCache> Used(const SourceFile* file) {
    auto cache = Cache(file, 8);
    cache->Touch(0, 5, 9);
    cache->Touch(0, 2, 3);
    cache->Touch(0, 7, 1);
    return cache;
  }

  std::string Folder() const { return directory_ / "cache"; }
  std::vector<std::string> Kept() const {
    std::vector<std::string> paths;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(Folder() + "/experts", none)) paths.push_back(entry.path());
    return paths;
  }

  TestDirectory directory_;
  ReadService reads_{[](unsigned depth) { return MakeReader(ReaderKind::kAuto, depth); }};
  std::unique_ptr<SourceFile> file_;
};

TEST_F(HeatKeeperTest, TheNextRunReadsTheMostPopularAhead) {
  HeatKeeper(Folder()).Save(*Used(file_.get()));
  ASSERT_EQ(Kept().size(), 1u);
  const auto cache = Cache(file_.get(), 2);
  HeatKeeper keeper(Folder());
  keeper.Give(*cache);
  EXPECT_TRUE(cache->Holds(0, 5) && cache->Holds(0, 2));
  EXPECT_FALSE(cache->Holds(0, 7));
  EXPECT_NEAR(cache->Popularity(0, 5), HeatKeeper::kRecalled, 1e-9);
  EXPECT_NEAR(cache->Popularity(0, 2), HeatKeeper::kRecalled / 3, 0.01);
  // A run that uses nothing leaves what it found.
  const std::string before = *ReadSmallFile(Kept()[0], kMiB);
  keeper.Save(*cache);
  EXPECT_EQ(*ReadSmallFile(Kept()[0], kMiB), before);
}

TEST_F(HeatKeeperTest, ANewCacheOfTheSameRunKnowsTheSame) {
  for (const auto& directory :
       {std::optional<std::string>(), std::optional<std::string>(Folder()), std::optional<std::string>("")}) {
    HeatKeeper keeper(directory);
    keeper.Take(*Used(file_.get()));
    const auto cache = Cache(file_.get(), 1);
    keeper.Give(*cache);
    EXPECT_TRUE(cache->Holds(0, 5));
    EXPECT_NEAR(cache->Popularity(0, 5), 9, 1e-9);
    if (!directory || directory->empty()) keeper.Save(*cache);
  }
  EXPECT_FALSE(fs::exists(Folder()));
}

TEST_F(HeatKeeperTest, OtherModelsAndDamagedFilesAreIgnoredAndReplaced) {
  HeatKeeper(Folder()).Save(*Used(file_.get()));
  const std::string good = *ReadSmallFile(Kept().at(0), kMiB), path = Kept()[0];
  const auto other = Open("other", 5 * kMiB);
  HeatKeeper(Folder()).Save(*Used(other.get()));
  ASSERT_EQ(Kept().size(), 2u);
  const std::string others = *ReadSmallFile(Kept()[Kept()[0] == path], kMiB);
  for (const std::string& bad : {std::string(), good.substr(0, 40), others, std::string(kMaxHeatFileBytes + 1, 'x')}) {
    ASSERT_TRUE(ReplaceFile(path, bad).ok());
    const auto cache = Used(file_.get());
    HeatKeeper keeper(Folder());
    keeper.Give(*cache);
    EXPECT_FALSE(cache->Holds(0, 5)) << bad.size();
    keeper.Save(*cache);
    EXPECT_EQ(*ReadSmallFile(path, kMiB), good);
  }
}

TEST_F(HeatKeeperTest, SavesRarelyAndOnlyWhatIsNew) {
  const auto cache = Used(file_.get());
  {
    HeatKeeper rare(Folder(), 1h);
    rare.SaveRarely(*cache);
  }
  EXPECT_TRUE(Kept().empty());
  {
    HeatKeeper often(Folder(), 0ms);
    often.Give(*cache);
    often.SaveRarely(*cache);
    often.SaveRarely(*cache);  // nothing new: waits for the writer alone
    ASSERT_EQ(Kept().size(), 1u);
    fs::remove(Kept()[0]);
    often.SaveRarely(*cache);
    cache->Touch(0, 1, 2);
  }
  EXPECT_TRUE(Kept().empty()) << "written though nothing was new";
  HeatKeeper often(Folder(), 0ms);
  often.SaveRarely(*cache);
  often.SaveRarely(*cache);
  EXPECT_EQ(Kept().size(), 1u);
}

TEST_F(HeatKeeperTest, AFolderThatCannotBeMadeIsNoFailure) {
  HeatKeeper keeper(directory_ / "model/below");  // the model is no folder
  const auto cache = Used(file_.get());
  keeper.Give(*cache);
  keeper.Save(*cache);
  EXPECT_TRUE(fs::is_regular_file(directory_ / "model"));
}

TEST_F(HeatKeeperTest, FingerprintsAreOfTheContent) {
  const auto copy = Open("copy", 4 * kMiB), longer = Open("longer", 4 * kMiB + 1);
  EXPECT_EQ(*copy->Fingerprint(), *file_->Fingerprint());
  EXPECT_NE(*longer->Fingerprint(), *file_->Fingerprint());
  const Descriptor fd(::open((directory_ / "copy").c_str(), O_WRONLY));
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 100), 1);
  EXPECT_NE(*copy->Fingerprint(), *file_->Fingerprint());
}

}  // namespace
}  // namespace headrace
